"""The chat interface of OpenAI: what is sent, by which client, and what its errors mean."""
