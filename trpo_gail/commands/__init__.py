"""One file per command: `run(arguments, workers)` parses its flags, calls one function and prints. `FLAGS` has the
dataclass of its flags, and that of each subcommand ("data head"), for completion."""

# name: (module within trpo_gail.commands, its function, what it does)
COMMANDS = {
    "train": ("train", "run", "train a policy from a file of demonstrations (GAIL), alone or under mpirun"),
    "expert": ("train", "expert", "train a policy on the environment's own reward"),
    "clone": ("clone", "run", "fit a policy to demonstrations by behavioural cloning"),
    "evaluate": ("evaluate", "run", "evaluate the policy of a run folder"),
    "export": ("export", "run", "write a run's learned reward or its policy to a file for use elsewhere"),
    "push": ("share", "push", "share a run's policy, with a card: to a folder or to Hugging Face"),
    "pull": ("share", "pull", "make a run folder from what push wrote"),
    "report": ("report", "run", "write a page of one run or several: returns, curves, states, time"),
    "check": ("check", "run", "check an environment before training: spaces, seeds, ends, numbers, speed"),
    "record": ("record", "run", "run a policy and write its episodes to a file of demonstrations"),
    "data": ("data", "run", "print, check, convert, merge, select, plot or fetch files of demonstrations"),
    "compare": ("compare", "run", "compare generators, or any configurations, on equal terms"),
    "paper": ("paper", "run", "list, run and report the paper's experiments"),
    "completion": ("completion", "run", "print a script by which bash, zsh or fish completes commands and flags"),
    "bench": ("bench", "run", "measure the speed of training on this machine"),
}
