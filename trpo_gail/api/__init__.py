"""The package from Python: models that learn, predict, save and load, over the command line's learner and loop."""
