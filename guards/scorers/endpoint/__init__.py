"""Scorers that ask a server: a guard model behind an OpenAI-compatible API, or a moderation API."""
