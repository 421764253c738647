"""The one vendor there is: its client, its bodies, and the fetcher made of them."""
