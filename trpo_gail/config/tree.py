"""One tree of frozen dataclasses: the command line, `config.json` and a checkpoint's metadata. Imports no torch.

Names are Stable-Baselines' where they exist. A preset is this tree with other defaults.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_type_hints

from tyro.conf import Positional, arg

from trpo_gail.errors import UserError
from trpo_gail.system import typed

PresetName = Literal["default", "stable-baselines", "paper"]
Adversary = Literal["gail", "fem", "gtal", "constant", "env_reward"]
GeneratorName = Literal["trpo", "ppo"]


@dataclass(frozen=True)
class PolicyConfig:
    """The policy's network: a tanh MLP."""

    hidden_sizes: tuple[int, ...] = (64, 64)
    """Hidden layers."""
    init_log_std: float = 0.0
    """Log standard deviation that a Gaussian policy starts with."""
    output_scale: float = 0.01
    """Scale of the output layer's initial weights."""
    normalise_observations: bool = True
    """Standardise observations by their running mean and standard deviation."""
    observation_clip: float | None = 10.0
    """Limit on standardised observations; None for none."""


@dataclass(frozen=True)
class TrustRegionConfig:
    """One natural-gradient step within a trust region."""

    max_kl: float = 0.01
    """Trust region: mean KL(old || new), nats."""
    cg_iters: int = 10
    """Conjugate-gradient iterations."""
    cg_damping: float = 0.1
    """Added to the Fisher matrix's diagonal."""
    fvp_subsample: int = 5
    """Fisher-vector products use every k-th row."""
    fvp_draw: bool = False
    """They use as many rows drawn at random, with replacement."""
    line_search_steps: int = 10
    """Step lengths tried."""
    line_search_shrink: float = 0.5
    """Each is this much of the one before."""
    line_search_kl: float = 1.5
    """A step is refused if its KL exceeds this multiple of max_kl."""
    line_search_accept: float = 0.0
    """A step is refused if it improves the objective by no more than this part of what the gradient promises."""
    line_search_failure: Literal["restore", "shrink"] = "restore"
    """Where every length is refused: restore the parameters, or shrink once more and keep that step untested."""
    least_gradient: float = 0.0
    """No step is taken if no entry of the gradient exceeds this."""


@dataclass(frozen=True)
class TRPOConfig(TrustRegionConfig):
    """The step of --generator trpo."""

    max_kl: Annotated[float, arg(aliases=("--max_kl",))] = 0.01
    """Trust region: mean KL(old || new), nats."""
    cg_iters: Annotated[int, arg(aliases=("--cg_iters",))] = 10
    """Conjugate-gradient iterations."""
    cg_damping: Annotated[float, arg(aliases=("--cg_damping",))] = 0.1
    """Added to the Fisher matrix's diagonal."""
    entcoeff: Annotated[float, arg(aliases=("--entcoeff",))] = 0.0
    """Weight of the policy's entropy in the surrogate."""


@dataclass(frozen=True)
class PPOConfig:
    """The step of --generator ppo. The value loss has no weight here, for the critic is fitted apart: critic.vf_iters,
    critic.vf_stepsize, critic.clip_range_vf."""

    n_epochs: int = 10
    """Passes over the batch."""
    batch_size: int = 512
    """Rows of a minibatch, over all ranks."""
    learning_rate: float = 1e-3
    """Adam's step size."""
    schedule: Literal["constant", "linear"] = "constant"
    """The step size stays, or falls to 0 by the end of --steps. A --resume with more --steps lifts it to the longer line."""
    objective: Literal["clip", "kl-penalty"] = "clip"
    """The clipped surrogate, or the surrogate less kl_coeff times KL(old || new)."""
    clip_range: float = 0.2
    """How far the ratio of probabilities may gain from leaving 1."""
    dual_clip: float | None = None
    """With clip and a negative advantage: the ratio beyond which nothing more is lost; None for none."""
    kl_coeff: float = 1.0
    """With kl-penalty: its first weight, which then doubles or halves to keep the KL near kl_target."""
    kl_target: float = 0.01
    """With kl-penalty: mean KL(old || new) of a step, nats."""
    target_kl: float | None = 0.02
    """Stop the epochs once a minibatch's mean KL(old || new), nats, exceeds 1.5 times this; None for never."""
    normalise_advantages: Literal["batch", "minibatch"] = "batch"
    """Standardise advantages over the batch, or again over each minibatch."""
    recompute_advantages: bool = False
    """Between epochs the critic makes one of its vf_iters passes, and the advantages are computed anew from it; so
    critic.vf_iters must be at least n_epochs - 1."""
    entcoeff: float = 0.0
    """Weight of the policy's entropy in the objective."""
    max_grad_norm: float | None = 0.5
    """Limit on the gradient's norm; None for none."""


@dataclass(frozen=True)
class CriticConfig:
    """The value network and its fit."""

    hidden_sizes: tuple[int, ...] = (64, 64)
    """Hidden layers (tanh)."""
    fit: Literal["adam", "natural-gradient"] = "adam"
    """Adam over minibatches, or one natural-gradient step on the whole batch."""
    natural_gradient: TrustRegionConfig = field(default_factory=TrustRegionConfig)
    """That step; its "KL" is the mean squared change of normalised values."""
    target_lam: float | None = None
    """Lambda of the targets: 1 for Monte-Carlo returns; None for --lam."""
    after_adversary: bool = False
    """Fit last in an epoch, on the rewards of the updated adversary, instead of on those that the policy was paid."""
    preserve_values: bool = True
    """Rescale the output layer when the targets' statistics move, so that the values stay."""
    vf_iters: Annotated[int, arg(aliases=("--vf_iters",))] = 10
    """Adam's passes over the batch."""
    vf_stepsize: Annotated[float, arg(aliases=("--vf_stepsize",))] = 2e-3
    """Adam's step size."""
    vf_batch_size: int = 512
    """Rows of one Adam step, over all ranks."""
    clip_range_vf: float | None = None
    """With Adam: how far a fit may gain from moving a value, in standard deviations of the targets; None for any way."""
    time_input: bool = False
    """Give the network the time within the episode."""
    normalise_observations: bool = True
    """Standardise observations by their running mean and standard deviation."""
    observation_clip: float | None = 10.0
    """Limit on standardised observations; None for none."""


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The adversary."""

    hidden_size_adversary: Annotated[int, arg(aliases=("--hidden_size_adversary",))] = 100
    """Width of both hidden layers (tanh)."""
    adversary_entcoeff: Annotated[float, arg(aliases=("--adversary_entcoeff",))] = 0.05
    """Weight of the entropy of D's decisions in its loss."""
    d_stepsize: Annotated[float, arg(aliases=("--d_stepsize",))] = 3e-4
    """Adam's step size."""
    d_batch_size: int | None = None
    """Learner rows of one update, with as many expert rows; None splits the epoch's rows into d_step minibatches."""
    reward: Literal["-log(1-D)", "log(D)"] = "-log(1-D)"
    """-log(1-D) is never negative and rewards staying alive; log(D), never positive, suits tasks that end on success.
    The linear rewards of fem and gtal, and the constant one, take the same sign."""
    normalise: Literal["observations-actions", "observations", "none"] = "observations-actions"
    """Which inputs are standardised, by one running mean and standard deviation for learner and expert."""
    input_clip: float | None = 10.0
    """Limit on standardised inputs; None for none."""


@dataclass(frozen=True)
class Config:
    """Everything that decides what a run computes."""

    env: Positional[Annotated[str, arg(metavar="ENV")]]
    """Environment id, or module:Id."""
    expert: str | None = None
    """HDF5 file of demonstrations; where the environment or a constant pays, for the score alone."""
    trajectories: int | None = None
    """Use the first N trajectories of the file; None for all."""
    subsample: int = 1
    """Use every K-th row of each trajectory, from a random start below K."""
    preset: PresetName = "default"
    """Whose defaults to start from."""
    generator: GeneratorName = "trpo"
    """Who improves the policy; the other's fields may not be set."""
    adversary: Adversary = "gail"
    """Who pays: the discriminator; a linear reward, by feature expectation matching (fem) or game-theoretic apprenticeship
    learning (gtal); the same for every step (constant); or the environment, which trains experts."""
    steps: int = 1_000_000
    """Environment steps to train for, over all ranks."""
    iterations: int | None = None
    """Stop after so many epochs, if that comes first."""
    seed: int = 0
    """Every random stream of the run derives from it."""

    num_envs: int = 16
    """Environments, over all ranks."""
    backend: Literal["auto", "envpool", "gymnasium"] = "auto"
    """What runs the environments; auto takes EnvPool where it offers the id."""
    env_kwargs: str = "{}"
    """Arguments of the environment, as a JSON object."""
    actions: Literal["auto", "raw", "executed"] = "auto"
    """What D and the environment see of an action: the sample, or the sample clipped to the bounds; auto asks the file."""
    action_scaling: bool = True
    """The policy acts in normalised units: a Box's bounded dimensions are [-1, 1] to it, whatever the bounds are."""
    max_episode_steps: int | None = None
    """Cut episodes after so many steps, in place of the environment's own time limit; None keeps that, or cuts after
    30,000 steps if the environment has no limit."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where updates are computed; sampling is always on the CPU."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision of networks and updates."""

    sampling: Literal["steps", "episodes"] = "steps"
    """Fixed horizon, episodes run on over batches; or whole episodes from reset."""
    timesteps_per_batch: int = 2048
    """Steps per generator step, over all ranks; with whole episodes, the least."""
    restart_every: int = 100
    """With a fixed horizon: environments restart their random streams every so many epochs (bounds replay on resume)."""

    g_step: int = 1
    """Generator steps per epoch, each on a fresh batch."""
    d_step: int = 16
    """Discriminator updates (Adam steps) per epoch."""
    gamma: float = 0.995
    """Discount."""
    lam: float = 0.97
    """Lambda of generalised advantage estimation."""
    time_limits: Literal["bootstrap", "terminal"] = "bootstrap"
    """At a time limit: the value of the last observation counts on, or nothing follows."""
    causal_entcoeff: float = 0.0
    """Weight of the policy's causal entropy: -causal_entcoeff log pi(a|s) is added to the adversary's reward."""
    normalise_from_expert: bool = False
    """Start the normalisers of all networks from the demonstrations."""

    policy: PolicyConfig = field(default_factory=PolicyConfig)
    critic: CriticConfig = field(default_factory=CriticConfig)
    trpo: TRPOConfig = field(default_factory=TRPOConfig)
    ppo: PPOConfig = field(default_factory=PPOConfig)
    discriminator: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)

    eval_every: int = 50_000
    """Steps between deterministic evaluations; 0 for none before the last."""
    eval_episodes: int = 20
    """Episodes of a periodic evaluation."""
    final_episodes: int = 50
    """Episodes of the last one; 0 for no evaluation at the end."""
    save_every: str = "5m"
    """Between checkpoints: iterations (20) or minutes (5m)."""

    def __post_init__(self) -> None:
        _check(self)

    @property
    def imitates(self) -> bool:
        """Whether the adversary needs demonstrations."""
        return self.adversary in ("gail", "fem", "gtal")

    @property
    def env_arguments(self) -> dict[str, Any]:
        return json.loads(self.env_kwargs)

    @property
    def env_settings(self) -> dict[str, Any]:
        """Keywords of `envs.vector.make` by which the run's environments are made."""
        return {
            "kwargs": self.env_arguments,
            "scale": self.action_scaling,
            "max_episode_steps": self.max_episode_steps,
        }

    @property
    def expected_steps(self) -> int:
        """Steps at the end, by `steps` and `iterations`; whole episodes may make it some more."""
        per_epoch = self.timesteps_per_batch * self.g_step
        return self.steps if self.iterations is None else min(self.steps, self.iterations * per_epoch)

    @property
    def save_interval(self) -> tuple[float, Literal["iterations", "minutes"]]:
        number, unit = _SAVE_EVERY.fullmatch(self.save_every).groups()  # type: ignore[union-attr]
        return float(number), "minutes" if unit else "iterations"


_SAVE_EVERY = re.compile(r"(\d+(?:\.\d+)?)(m?)")
_AT_LEAST: dict[str, float] = {
    "steps": 1, "iterations": 1, "seed": 0, "num_envs": 1, "timesteps_per_batch": 1, "restart_every": 1, "g_step": 1,
    "d_step": 1, "gamma": 0, "lam": 0, "eval_every": 0, "eval_episodes": 1, "final_episodes": 0, "trajectories": 1,
    "subsample": 1, "max_episode_steps": 1, "trpo.entcoeff": 0, "critic.vf_iters": 0, "critic.vf_batch_size": 1,
    "critic.target_lam": 0,
    "causal_entcoeff": 0, "policy.output_scale": 0, "ppo.n_epochs": 1, "ppo.batch_size": 1, "ppo.entcoeff": 0,
    "discriminator.hidden_size_adversary": 1, "discriminator.adversary_entcoeff": 0, "discriminator.d_batch_size": 1,
}  # fmt: skip
_AT_MOST: dict[str, float] = {"gamma": 1, "lam": 1, "critic.target_lam": 1}
_POSITIVE = [
    "critic.vf_stepsize", "discriminator.d_stepsize", "policy.observation_clip", "critic.observation_clip",
    "discriminator.input_clip", "critic.clip_range_vf", "ppo.learning_rate", "ppo.clip_range", "ppo.kl_coeff",
    "ppo.kl_target", "ppo.target_kl", "ppo.max_grad_norm",
]  # fmt: skip
_BELOW_ONE = []
for _region in ("trpo", "critic.natural_gradient"):
    _AT_LEAST |= {f"{_region}.{name}": 1 for name in ("cg_iters", "fvp_subsample", "line_search_steps")}
    _AT_LEAST |= {f"{_region}.{name}": 0 for name in ("cg_damping", "line_search_accept", "least_gradient")}
    _POSITIVE += [f"{_region}.{name}" for name in ("max_kl", "line_search_shrink", "line_search_kl")]
    _BELOW_ONE.append(f"{_region}.line_search_shrink")


def _check(config: Config) -> None:
    """Raise UserError for a value out of its range, naming the flag."""
    flat = flatten(config)
    for name, value in flat.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"--{name}: {value} is not a finite number")
    for name, least in _AT_LEAST.items():
        if flat[name] is not None and flat[name] < least:
            raise UserError(f"--{name}: {flat[name]} given, at least {least:g} expected")
    for name, most in _AT_MOST.items():
        if flat[name] is not None and flat[name] > most:
            raise UserError(f"--{name}: {flat[name]} given, at most {most:g} expected")
    for name in _POSITIVE:
        if flat[name] is not None and flat[name] <= 0:
            raise UserError(f"--{name}: {flat[name]} given, more than 0 expected")
    for name in _BELOW_ONE:
        if flat[name] >= 1:
            raise UserError(f"--{name}: {flat[name]} given, less than 1 expected")
    if any(size < 1 for size in (*config.policy.hidden_sizes, *config.critic.hidden_sizes)):
        raise UserError("--policy.hidden_sizes, --critic.hidden_sizes: every layer has at least 1 unit")
    match = _SAVE_EVERY.fullmatch(config.save_every)
    if not match or float(match[1]) == 0 or (not match[2] and "." in match[1]):
        raise UserError(
            f"--save_every: {config.save_every!r} given, a number of iterations (20) or minutes (5m) expected"
        )
    try:
        kwargs = json.loads(config.env_kwargs)
    except json.JSONDecodeError as error:
        raise UserError(f"--env_kwargs: {config.env_kwargs!r} is not JSON ({error})") from error
    if not isinstance(kwargs, dict):
        raise UserError(f"--env_kwargs: {config.env_kwargs!r} given, a JSON object expected")
    if config.normalise_from_expert and config.expert is None and not config.imitates:
        raise UserError(
            "--normalise_from_expert: there are no demonstrations (--expert) to start from (--no_normalise_from_expert)"
        )
    if config.sampling == "steps" and config.timesteps_per_batch <= config.num_envs:
        # The row after an episode's end is a reset; of two rows in a row one is a transition at least.
        raise UserError(
            f"--timesteps_per_batch: {config.timesteps_per_batch} given, more than --num_envs {config.num_envs} expected: "
            "each environment needs at least 2 rows of a batch, since one of them may be a reset"
        )
    _check_generator(config)


def _check_generator(config: Config) -> None:
    """Raise UserError for a field that would decide nothing, or that does not go with another."""
    idle = other_generator(config.generator)
    untouched = flatten({"trpo": TRPOConfig(), "ppo": PPOConfig()}[idle])
    for name, value in flatten(getattr(config, idle)).items():
        if value != untouched[name]:
            raise UserError(f"--{idle}.{name}: {value} given, but --generator is {config.generator}")
    ppo, critic = config.ppo, config.critic
    if ppo.dual_clip is not None and not ppo.dual_clip > 1:
        raise UserError(f"--ppo.dual_clip: {ppo.dual_clip} given, more than 1 expected")
    for name in {"clip": ("kl_coeff", "kl_target"), "kl-penalty": ("clip_range", "dual_clip")}[ppo.objective]:
        if getattr(ppo, name) != getattr(PPOConfig, name):
            raise UserError(f"--ppo.{name}: {getattr(ppo, name)} given, but --ppo.objective is {ppo.objective}")
    if critic.clip_range_vf is not None and critic.fit != "adam":
        raise UserError(f"--critic.clip_range_vf: {critic.clip_range_vf} given, but --critic.fit is {critic.fit}")
    if ppo.recompute_advantages and (critic.after_adversary or critic.fit != "adam"):
        raise UserError(
            "--ppo.recompute_advantages: the critic is fitted pass by pass between the epochs then, so that "
            "--critic.fit adam and --critic.no_after_adversary are expected"
        )
    if ppo.recompute_advantages and critic.vf_iters < ppo.n_epochs - 1:
        raise UserError(
            f"--critic.vf_iters: {critic.vf_iters} given, but --ppo.recompute_advantages makes a pass after each of "
            f"--ppo.n_epochs {ppo.n_epochs} but the last: at least {ppo.n_epochs - 1} expected"
        )


def other_generator(name: GeneratorName) -> GeneratorName:
    """The one whose fields decide nothing."""
    return "ppo" if name == "trpo" else "trpo"


@dataclass(frozen=True)
class CloningConfig:
    """Everything that decides what behavioural cloning computes. The defaults are the paper's for MuJoCo."""

    env: Positional[Annotated[str, arg(metavar="ENV")]]
    """Environment id, or module:Id."""
    expert: str
    """HDF5 file of demonstrations."""
    trajectories: int | None = None
    """Use the first N trajectories of the file; None for all."""
    subsample: int = 1
    """Use every K-th row of each trajectory, from a random start below K."""
    seed: int = 0
    """Every random stream of the run derives from it."""
    iterations: int = 20_001
    """Adam steps."""
    eval_every: int = 1000
    """Steps between looks at the validation score, the first look after the first step; the best policy seen is kept."""
    batch_size: int = 128
    """Pairs of one step, drawn with replacement."""
    stepsize: float = 1e-3
    """Adam's step size."""
    train_share: float = 0.7
    """Share of the pairs to learn from; the others are for validation."""
    hidden_sizes: tuple[int, ...] = (100, 100)
    """The policy's hidden layers (tanh)."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision of the network and its updates."""
    backend: Literal["auto", "envpool", "gymnasium"] = "auto"
    """What runs the environments of the evaluation; auto takes EnvPool where it offers the id."""
    env_kwargs: str = "{}"
    """Arguments of the environment, as a JSON object."""
    actions: Literal["auto", "raw", "executed"] = "auto"
    """What the environment sees of an action: the policy's, or that clipped to the bounds; auto asks the file."""
    action_scaling: bool = True
    """The policy acts in normalised units: a Box's bounded dimensions are [-1, 1] to it, whatever the bounds are."""
    max_episode_steps: int | None = None
    """Cut episodes after so many steps, in place of the environment's own time limit; None keeps that, or cuts after
    30,000 steps if the environment has no limit."""
    final_episodes: int = 50
    """Episodes of the evaluation; 0 for no evaluation."""

    def __post_init__(self) -> None:
        for name in ("iterations", "eval_every", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name}: {getattr(self, name)} given, at least 1 expected")
        if not (math.isfinite(self.stepsize) and self.stepsize > 0):
            raise UserError(f"--stepsize: {self.stepsize} given, a number of more than 0 expected")
        if not 0 < self.train_share < 1:
            raise UserError(f"--train_share: {self.train_share} given, more than 0 and less than 1 expected")
        self.run_config()  # checks the others

    def run_config(self) -> Config:
        """The policy, environment and demonstrations as a training run's config states them: with it a run folder's
        policy is loaded. Nothing else in it is used."""
        return Config(
            self.env,
            expert=self.expert,
            trajectories=self.trajectories,
            subsample=self.subsample,
            seed=self.seed,
            num_envs=1,
            backend=self.backend,
            env_kwargs=self.env_kwargs,
            actions=self.actions,
            action_scaling=self.action_scaling,
            max_episode_steps=self.max_episode_steps,
            device="cpu",
            dtype=self.dtype,
            policy=PolicyConfig(self.hidden_sizes, init_log_std=0.0, output_scale=0.0, observation_clip=None),
            final_episodes=self.final_episodes,
        )


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """The tree as one dictionary by path: {"trpo.max_kl": 0.01, ...}."""
    flat: dict[str, Any] = {}
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        if dataclasses.is_dataclass(value):
            flat |= flatten(value, f"{prefix}{f.name}.")
        else:
            flat[prefix + f.name] = value
    return flat


def to_dict(config: Config) -> dict[str, Any]:
    """As JSON holds it."""
    return dataclasses.asdict(config)


_SINCE_0_1_0 = {"action_scaling": False, "max_episode_steps": None}


def from_dict(cls: type, values: dict[str, Any], source: str) -> Any:
    """Build a tree from what `to_dict` gave; unknown and missing keys are errors that name the source.

    Keys that came later than the file's version may be missing: they are as things were then.
    """
    hints = get_type_hints(cls)
    names = [f.name for f in dataclasses.fields(cls)]
    typed.check(values, dict, source)
    values = {**{name: value for name, value in _SINCE_0_1_0.items() if name in names}, **values}
    if wrong := set(values) ^ set(names):
        raise UserError(f"{source}: the config has keys that this version does not know or lacks: {sorted(wrong)}")
    built = {}
    for name, value in values.items():
        if dataclasses.is_dataclass(hints[name]):
            value = from_dict(hints[name], value, source)
        else:
            typed.check(value, hints[name], f"{source}: field {name!r}")
        built[name] = tuple(value) if isinstance(value, list) else value
    try:
        return cls(**built)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error


def preset(name: PresetName, env: str, generator: GeneratorName = "trpo") -> Config:
    """A preset's defaults for an environment. With PPO they are the same, but for the generator's own."""
    made = {"default": Config, "stable-baselines": _stable_baselines, "paper": _paper}[name](env)
    return made if generator == "trpo" else dataclasses.replace(made, generator=generator, trpo=TRPOConfig())


def _paper(env: str) -> Config:
    """Ho & Ermon's code with its defaults, as on MuJoCo; what differs by task is in the reproduction's grid.

    docs/fidelity.md lists what is the same and what is not.
    """
    step = TrustRegionConfig(
        max_kl=0.01, cg_iters=10, cg_damping=0.1, fvp_subsample=10, fvp_draw=True, line_search_steps=10,
        line_search_shrink=0.5, line_search_kl=2.0, line_search_accept=0.1, line_search_failure="shrink",
        least_gradient=1e-6,
    )  # fmt: skip
    return Config(
        env,
        preset="paper",
        action_scaling=False,
        steps=1_000_000_000,
        iterations=501,
        # Differs: theirs computes in float64. `--dtype float64` does; float32 sums over rows in float64 and is faster.
        dtype="float32",
        # Differs: seeds. Theirs set none, and workers took theirs from the system.
        # Differs: each environment has whole episodes until it alone has its share of the steps; theirs stopped together
        # once the sum was reached, and kept what was under way. With 24, episodes of 1,000 steps make 72,000, as theirs.
        num_envs=24,
        sampling="episodes",
        timesteps_per_batch=50_000,
        d_step=1,
        gamma=0.995,
        lam=0.97,
        time_limits="terminal",
        normalise_from_expert=True,
        policy=PolicyConfig(hidden_sizes=(100, 100), output_scale=0.0, observation_clip=None),
        critic=CriticConfig(
            hidden_sizes=(100, 100), fit="natural-gradient", natural_gradient=step, target_lam=1.0, after_adversary=True,
            preserve_values=False, time_input=True, observation_clip=None,
        ),
        trpo=TRPOConfig(**dataclasses.asdict(step)),
        discriminator=DiscriminatorConfig(
            hidden_size_adversary=100, adversary_entcoeff=1e-3, d_stepsize=0.01, d_batch_size=None, input_clip=None
        ),
        eval_every=0,
    )  # fmt: skip


def _stable_baselines(env: str) -> Config:
    # Stable-Baselines 2.10's GAIL with its MlpPolicy. Its batch of 1024 is per rank; this emulates one rank.
    # Differs: true steps are counted (it counts one batch in g_step); D learns from all g_step batches (it: the last);
    # time limits bootstrap; the critic's targets are standardised; Discrete actions choose an output of D (it: one-hot).
    return Config(
        env,
        preset="stable-baselines",
        action_scaling=False,
        num_envs=1,
        timesteps_per_batch=1024,
        g_step=3,
        d_step=1,
        gamma=0.99,
        lam=0.98,
        policy=PolicyConfig(normalise_observations=False, observation_clip=None),
        critic=CriticConfig(
            vf_iters=3, vf_stepsize=3e-4, vf_batch_size=128, normalise_observations=False, observation_clip=None
        ),
        trpo=TRPOConfig(max_kl=0.01, cg_iters=10, cg_damping=0.01, fvp_subsample=5),
        discriminator=DiscriminatorConfig(
            # Its 1e-3 weighs the mean over both sides; ours, as in the paper's code, the sum of each side's mean.
            adversary_entcoeff=5e-4,
            d_stepsize=3e-4,
            d_batch_size=None,
            normalise="observations",
            input_clip=None,
        ),
    )
