"""Who pays the learner."""
