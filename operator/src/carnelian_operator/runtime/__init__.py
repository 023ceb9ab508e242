"""What every controller runs on: watches, work queue, leader election, Kubernetes client, health, logs, metrics."""
