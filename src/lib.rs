//! Embeddable self-learning memory for AI agents.
