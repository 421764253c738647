"""An invented market: prices, and the news that moves them."""
