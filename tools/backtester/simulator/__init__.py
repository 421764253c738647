"""The Python simulator: any strategy, many symbols on one cash account, limits and all."""
