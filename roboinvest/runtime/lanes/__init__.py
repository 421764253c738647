"""Files of ours that are durable before anybody is told: their threads, queues and checks."""
