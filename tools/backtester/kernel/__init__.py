"""The kernel: signal arrays played in integers, exactly as the simulator plays them."""
