"""What differs between engines and versions, and everything rendered for a server to read."""
