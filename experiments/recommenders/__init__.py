"""Recommenders: dot products against multi-layer perceptrons as a similarity of two embeddings."""
