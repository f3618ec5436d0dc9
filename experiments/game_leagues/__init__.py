"""Leagues of agents that train against each other: matchmaking, forgetting and exploitability."""
