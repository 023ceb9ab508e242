-- Decides a batch of checks, in order. A check is one or more limits: if all of them allow it, it takes its cost from
-- each; if one refuses, it takes from none.
--
-- KEYS     one key a limit of each check, in the order of the plan
-- ARGV[1]  MessagePack of {limits, plan}. A limit starts with its algorithm's number, see the three tables below. The
--          plan holds, for each check, how many limits it has and which they are (positions in `limits`, from 1).
-- Returns  MessagePack of a flat list; for each check: the position of the limit that refused, or 0, and three integers
--          for each of its limits: what the algorithm's `report` says.
--
-- Times are microseconds of the server's clock. Every number is an integer below 2^53, so arithmetic on doubles is exact.
--
-- `bring` brings a stored state to the present and to the limit as it is now. What it had to adjust beyond the passing of
-- time (another rate, a smaller bucket, a clock that went back) is stored even when the check is refused: else every
-- refusal would adjust the same old state again, and time would not count.

local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min
local format, match = string.format, string.match

local function clock()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function store(key, value, microseconds)
  redis.call('SET', key, value, 'PX', format('%d', max(1, ceil(microseconds / 1000))))
end

local now = clock()

-- The bucket is kept as the time at which it will be full again, as an exact fraction: the debt is `whole` microseconds
-- and `part` / `rate` of one. One unit costs `span` / `rate` microseconds, in lowest terms.
-- limit: {1, room whole, room part, cost whole, cost part, capacity whole, capacity part, rate, span}
local bucket = {}

function bucket.parse(text)
  local whole, part, rate, span = match(text, '^(%d+) (%d+) (%d+) (%d+)$')
  if not whole then return nil end
  return { whole = whole - now, part = tonumber(part), rate = tonumber(rate), span = tonumber(span) }
end

function bucket.bring(state, limit)
  local rate, span = limit[8], limit[9]
  if not state then return { whole = 0, part = 0, rate = rate, span = span } end
  if state.whole < 0 then state.whole, state.part = 0, 0 end
  if state.rate ~= rate or state.span ~= span then -- another rate: units that were taken stay taken
    local debt = (state.whole + state.part / state.rate) * state.rate / state.span * span / rate
    state.whole = floor(debt)
    state.part = floor((debt - state.whole) * rate)
    state.rate, state.span, state.adjusted = rate, span, true
  end
  if state.whole > limit[6] or (state.whole == limit[6] and state.part > limit[7]) then
    state.whole, state.part, state.adjusted = limit[6], limit[7], true
  end
  return state
end

function bucket.allows(state, limit)
  return state.whole < limit[2] or (state.whole == limit[2] and state.part <= limit[3])
end

function bucket.take(state, limit)
  local part = state.part + limit[5]
  local carry = part >= state.rate and 1 or 0
  state.whole, state.part = state.whole + limit[4] + carry, part - carry * state.rate
end

function bucket.save(key, state)
  local text = format('%d %d %d %d', now + state.whole, state.part, state.rate, state.span)
  store(key, text, state.whole + 1)
end

function bucket.report(state)
  return state.whole, state.part, 0
end

-- One count for the window that the clock is in. After a change of the period the count goes along when all of it
-- lies in the window of the new length.
-- limit: {2, cost, most, period}
local fixed = {}

function fixed.parse(text)
  local start, count = match(text, '^(%d+) (%d+)$')
  if not start then return nil end
  return { start = tonumber(start), count = tonumber(count) }
end

function fixed.bring(state, limit)
  local period = limit[4]
  local start = now - now % period
  if not state or state.start < start then return { start = start, count = 0, period = period } end
  state.adjusted = state.adjusted or state.start > start
  state.start, state.period, state.count = start, period, min(state.count, limit[3])
  return state
end

function fixed.allows(state, limit)
  return state.count + limit[2] <= limit[3]
end

function fixed.take(state, limit)
  state.count = state.count + limit[2]
end

function fixed.save(key, state)
  store(key, format('%d %d', state.start, state.count), state.start + state.period - now)
end

function fixed.report(state)
  return state.count, now - state.start, 0
end

-- Counts of this window and of the one before, which weighs in by the share of it that a window ending now overlaps.
-- The share is counted in ticks, so coarse that count times ticks stays exact.
-- limit: {3, cost, most, period, tick, ticks}
local sliding = {}

function sliding.parse(text)
  local start, count, before = match(text, '^(%d+) (%d+) (%d+)$')
  if not start then return nil end
  return { start = tonumber(start), count = tonumber(count), before = tonumber(before) }
end

function sliding.bring(state, limit)
  local most, period = limit[3], limit[4]
  local start = now - now % period
  if not state or state.start < start - period then
    state = { count = 0, before = 0 }
  elseif state.start < start then
    state.count, state.before = 0, state.count
  elseif state.start > start then
    state.adjusted = true
  end
  state.start, state.period = start, period
  state.count, state.before = min(state.count, most), min(state.before, most)
  return state
end

function sliding.allows(state, limit)
  local cost, most, period, tick, ticks = limit[2], limit[3], limit[4], limit[5], limit[6]
  local overlap = ceil((state.start + period - now) / tick)
  return state.before * overlap + (state.count + cost) * ticks <= most * ticks
end

function sliding.take(state, limit)
  state.count = state.count + limit[2]
end

function sliding.save(key, state)
  local text = format('%d %d %d', state.start, state.count, state.before)
  store(key, text, state.start + 2 * state.period - now)
end

function sliding.report(state)
  return state.count, state.before, now - state.start
end

local algorithms = { bucket, fixed, sliding }

local request = cmsgpack.unpack(ARGV[1])
local limits, plan = request[1], request[2]
local states, touched = {}, {} -- by key: one read and one write, however many checks of the batch meet there
local answer, size = {}, 0
local step, first = 1, 0 -- where the next check starts in `plan`, and how many keys come before its own

while plan[step] do
  local count = plan[step]
  local refused = 0
  for index = 1, count do
    local key, limit = KEYS[first + index], limits[plan[step + index]]
    local algorithm, state = algorithms[limit[1]], states[key]
    if not state then
      local text = redis.pcall('GET', key)
      if type(text) == 'string' then state = algorithm.parse(text) end
    end
    state = algorithm.bring(state, limit)
    states[key] = state
    if state.adjusted then touched[key] = algorithm end
    if refused == 0 and not algorithm.allows(state, limit) then refused = index end
  end
  size = size + 1
  answer[size] = refused
  for index = 1, count do
    local key, limit = KEYS[first + index], limits[plan[step + index]]
    local algorithm, state = algorithms[limit[1]], states[key]
    if refused == 0 then
      algorithm.take(state, limit)
      touched[key] = algorithm
    end
    answer[size + 1], answer[size + 2], answer[size + 3] = algorithm.report(state)
    size = size + 3
  end
  step, first = step + count + 1, first + count
end

for key, algorithm in pairs(touched) do
  algorithm.save(key, states[key])
end
return cmsgpack.pack(answer)
