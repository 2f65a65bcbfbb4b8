"""How many flags that decide nothing are accepted, of some: `PYTHONPATH=CHECKOUT python results/house/idle_flags.py`."""

from __future__ import annotations

from trpo_gail.commands.train import parse_flags
from trpo_gail.errors import UserError

LINES = """--adversary fem --discriminator.d_stepsize 0.5 --d_step 7
--adversary gtal --hidden_size_adversary 50
--adversary constant --d_stepsize 1
--adversary env_reward --discriminator.reward log(D)
--critic.natural_gradient.max_kl 0.1
--critic.fit natural-gradient --vf_iters 3
--critic.fit natural-gradient --vf_stepsize 0.1
--critic.fit natural-gradient --critic.vf_batch_size 64
--critic.vf_iters 0 --vf_stepsize 0.1
--sampling episodes --restart_every 5
--eval_every 0 --eval_episodes 3
--generator ppo --max_kl 0.1
--ppo.clip_range 0.1
--generator ppo --ppo.objective kl-penalty --ppo.clip_range 0.1
--generator ppo --ppo.n_epochs 1 --ppo.recompute_advantages
--trpo.line_search_steps 1 --trpo.line_search_shrink 0.8""".splitlines()
n = 0
for line in LINES:
    try:
        parse_flags(["Hopper-v4", "--expert", "x.h5", *line.split()])
    except UserError:
        continue
    n += 1
    print("accepted:", line)
print(n, "of", len(LINES))
