"""One tree of frozen dataclasses: the command line, `config.json` and a checkpoint's metadata. Imports no torch.

A field has its range beside it, and the help text of its flag under it. Names are those of Stable-Baselines, if it has one.
A preset is this tree with other defaults.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from trpo_gail.config import check, choices
from trpo_gail.config.leaves import make_plain
from trpo_gail.config.marks import (
    AtLeast,
    Count,
    Fraction,
    HiddenSizes,
    Interval,
    JsonObject,
    LessThan,
    MoreThan,
    Names,
    NotNegative,
    OneOf,
    Outside,
    Positional,
    Positive,
    Short,
    SuccessRule,
)

PresetName = Literal["default", "stable-baselines", "paper"]


@dataclass(frozen=True, kw_only=True)
class PartsConfig:
    """How parts of the observation are seen."""

    images: tuple[str, ...] = ()
    """Parts of the observation that are images although they are not uint8, by key (robot.camera)."""
    numbers: tuple[str, ...] = ()
    """Parts of the observation that are uint8 but hold codes, as MiniGrid's do, by key. They are standardised, not taken for
    images."""


@dataclass(frozen=True, kw_only=True)
class SeeingConfig(PartsConfig):
    """How the policy's network sees observations."""

    encoder: Literal["auto", "nature", "small"] = "auto"
    """Convolutional net for images, in all networks: that of Mnih et al. (2015) (nature), or one for small images (small);
    auto chooses by the image's size."""


@dataclass(frozen=True)
class PolicyConfig(SeeingConfig):
    """The policy's network: a tanh MLP."""

    hidden_sizes: HiddenSizes = (64, 64)
    """Units of each hidden layer."""
    init_log_std: float = 0.0
    """Log standard deviation that a Gaussian policy starts with."""
    output_scale: NotNegative = 0.01
    """Scale of the output layer's initial weights."""
    normalise_observations: bool = True
    """Standardise observations by their running mean and standard deviation."""
    observation_clip: Positive | None = 10.0
    """Limit on the magnitude of observations, once they are standardised if they are; None switches the limit off."""
    network: Annotated[str, Outside()] | None = None
    """A network of your own in place of the MLP: module:name of a torch module's class, or of a function. It is called
    with the numbers of inputs and outputs. The module maps [B, inputs] to [B, outputs], each row by itself."""


@dataclass(frozen=True)
class TrustRegionConfig:
    """One natural-gradient step within a trust region."""

    max_kl: Positive = 0.01
    """Trust region: largest mean KL(old || new) of a step, in nats."""
    cg_iters: Count = 10
    """Conjugate-gradient iterations."""
    cg_damping: NotNegative = 0.1
    """Number added to the Fisher matrix's diagonal."""
    fvp_subsample: Count = 5
    """Fisher-vector products use one row in every this many."""
    fvp_draw: bool = False
    """Draw the rows of Fisher-vector products at random, with replacement, instead of taking them at equal distances."""
    line_search_steps: Count = 10
    """Number of step lengths that the line search tries."""
    line_search_shrink: Annotated[Positive, LessThan(1)] = 0.5
    """Factor by which the step shrinks after each refusal."""
    line_search_kl: Positive = 1.5
    """A step is refused if its KL exceeds this multiple of max_kl."""
    line_search_accept: NotNegative = 0.0
    """A step is refused if it improves the objective by no more than this share of what the gradient promises."""
    line_search_failure: Literal["restore", "shrink"] = "restore"
    """If every length is refused: restore the parameters, or shrink the step once more and keep it untested."""
    least_gradient: NotNegative = 0.0
    """The step is skipped if no entry of the gradient exceeds this in magnitude."""


@dataclass(frozen=True)
class TRPOConfig(TrustRegionConfig):
    """The step of --generator trpo."""

    entcoeff: NotNegative = 0.0
    """Weight of the policy's entropy in the surrogate."""


@dataclass(frozen=True)
class PPOConfig:
    """The step of --generator ppo. The value loss has no weight here, since the critic is fitted separately, by
    critic.vf_iters, critic.vf_stepsize and critic.clip_range_vf."""

    n_epochs: Count = 10
    """Passes over the batch."""
    batch_size: Count = 512
    """Rows of a minibatch, over all ranks."""
    learning_rate: Positive = 1e-3
    """Adam's step size."""
    schedule: Literal["constant", "linear"] = "constant"
    """The step size stays the same (constant), or falls to 0 in a straight line by the end of the run (linear), which --steps
    or --iterations sets. If --resume sets a later end, the step size follows the line to that end."""
    objective: Literal["clip", "kl-penalty"] = "clip"
    """The clipped surrogate, or the surrogate less kl_coeff times KL(old || new)."""
    clip_range: Positive = 0.1
    """Distance from 1 beyond which a change of the probabilities' ratio gains nothing."""
    dual_clip: Annotated[float, MoreThan(1)] | None = None
    """With --ppo.objective clip and a negative advantage: ratio beyond which nothing more is lost; None switches this bound
    off."""
    kl_coeff: Positive = 1.0
    """With --ppo.objective kl-penalty: the penalty's initial weight, which doubles or halves to keep the KL near
    kl_target."""
    kl_target: Positive = 0.01
    """With --ppo.objective kl-penalty: mean KL(old || new) that a step should have, in nats."""
    target_kl: Positive | None = 0.02
    """Stop the passes once a minibatch's mean KL(old || new), in nats, exceeds 1.5 times this; None never stops them."""
    normalise_advantages: Literal["batch", "minibatch"] = "batch"
    """Standardise advantages over the batch, or over the batch and then over each minibatch."""
    recompute_advantages: bool = False
    """Between passes, the critic makes one of its vf_iters passes, and the advantages are computed again from its values. So
    critic.vf_iters must be at least n_epochs - 1."""
    entcoeff: NotNegative = 0.0
    """Weight of the policy's entropy in the objective."""
    max_grad_norm: Positive | None = 0.5
    """Limit on the gradient's norm; None switches the limit off."""


@dataclass(frozen=True)
class CriticConfig:
    """The value network and its fit."""

    hidden_sizes: HiddenSizes = (64, 64)
    """Units of each hidden layer (tanh)."""
    fit: Literal["adam", "natural-gradient"] = "adam"
    """Adam over minibatches, or one natural-gradient step on the whole batch."""
    natural_gradient: TrustRegionConfig = field(default_factory=TrustRegionConfig)
    """The step of --critic.fit natural-gradient; its "KL" is the mean squared change of normalised values."""
    target_lam: Fraction | None = None
    """Lambda of the critic's targets; 1 makes them Monte-Carlo returns; None takes --lam."""
    after_adversary: bool = False
    """Fit the critic last in an iteration, on the rewards of the updated adversary, instead of on those that the policy was
    paid."""
    preserve_values: bool = True
    """When the targets' statistics change, rescale the output layer so that the values stay the same (PopArt, van Hasselt et
    al. 2016)."""
    vf_iters: Annotated[int, AtLeast(0)] = 10
    """With --critic.fit adam: passes over the batch."""
    vf_stepsize: Positive = 2e-3
    """With --critic.fit adam: Adam's step size."""
    vf_batch_size: Count = 512
    """With --critic.fit adam: rows of a minibatch, over all ranks."""
    clip_range_vf: Positive | None = None
    """With --critic.fit adam: change of a value, in standard deviations of the targets, beyond which a fit gains nothing;
    None switches this limit off."""
    time_input: bool = False
    """Give the network the time within the episode, too."""
    normalise_observations: bool = True
    """Standardise observations by their running mean and standard deviation."""
    observation_clip: Positive | None = 10.0
    """Limit on the magnitude of observations, once they are standardised if they are; None switches the limit off."""
    network: Annotated[str, Outside()] | None = None
    """A network of your own in place of the MLP: module:name of a torch module's class, or of a function. It is called
    with the number of inputs and 1. The module maps [B, inputs] to [B, 1]."""


@dataclass(frozen=True)
class DiscriminatorConfig:
    """The adversary (D): a network, its loss, what holds it back, and the reward that it pays."""

    hidden_size_adversary: Count = 100
    """Units of each of the two hidden layers."""
    hidden_sizes: HiddenSizes | None = None
    """Units of each hidden layer, however many; None makes two layers of hidden_size_adversary."""
    activation: Literal["tanh", "relu", "leaky-relu", "elu"] = "tanh"
    """Activation function after each hidden layer."""
    network: Annotated[str, Outside()] | None = None
    """A network of your own in place of the MLP: module:name of a torch module's class, or of a function. It is called with
    the numbers of inputs and outputs. The module has one output, or one for each label if actions are Discrete."""
    inputs: Annotated[tuple[str, ...], Names("state", "action", "next_state", "done")] = ("state", "action")
    """What D sees of a transition: any of state, action, next_state and done (that the episode ended by termination).
    Without action, demonstrations need no actions."""
    ignore: tuple[str, ...] = ()
    """Parts of the observation that the adversary does not see, by key (robot.camera); of an observation that is one vector,
    columns by number (3, 10:13)."""
    normalise: Literal["observations-actions", "observations", "none"] = "observations-actions"
    """Which inputs are standardised. Learner and expert share one running mean and standard deviation."""
    normalise_decay: Fraction | None = None
    """Each iteration multiplies the weight of all earlier rows by this factor, in the mean and standard deviation that
    standardise D's inputs. 0 takes the last iteration's rows alone, so that D sees small differences once the learner is near
    the expert; 1 counts all rows alike, as the paper does. The expert's rows have half the weight. None takes 0, or 1 for
    airl, whose reward should suit other learners, too."""
    input_clip: Positive | None = 10.0
    """Limit on the magnitude of inputs, once they are standardised if they are; None switches the limit off."""

    loss: Literal["cross-entropy", "least-squares", "wasserstein"] = "cross-entropy"
    """Cross-entropy, whose output is the logit of D; least squares, towards 1 on the expert's rows and -1 on the learner's;
    or the difference of the two sides' means, which needs a gradient penalty or spectral_norm."""
    adversary_entcoeff: NotNegative = 0.05
    """With --discriminator.loss cross-entropy: weight of the entropy of D's decisions in its loss."""
    label_smoothing: Annotated[Fraction, LessThan(0.5)] = 0.0
    """With --discriminator.loss cross-entropy: each row's label is mixed with this share of the other label."""
    positive_prior: Annotated[Positive, LessThan(1)] | None = None
    """With --discriminator.loss cross-entropy: share of the learner's rows that are taken to be as good as the expert's
    (positive-unlabelled learning); None takes all of them for worse."""
    gradient_penalty: NotNegative | None = None
    """Weight of the mean of (|gradient of the logit by the inputs| - gradient_penalty_target)^2; pixels count as numbers from
    0 to 1. None takes 1, which lets D be ahead without its reward going flat; 3 with another loss than the cross-entropy, or
    if normalise_decay is 1 or nothing is standardised; or 0 if D sees images, or if --discriminator.expert_batch_size leaves
    no pairs to mix."""
    gradient_penalty_target: NotNegative = 1.0
    """Norm that the penalty pulls the gradient towards: 1 as for Wasserstein, 0 as in AMP."""
    gradient_penalty_sides: Literal["both", "above"] = "both"
    """Penalise both sides of the target (Gulrajani et al. 2017), or only gradients above it (Petzka et al. 2018), so that D
    may be flat where the learner is as good as the expert."""
    gradient_penalty_at: Literal["between", "expert", "both"] = "between"
    """Points of the penalty: between an expert's and a learner's row, a random mixture for each pair; the expert's rows; or
    the rows of both sides."""
    spectral_norm: bool = False
    """Divide each layer's weights by their largest singular value."""
    dropout: Annotated[Fraction, LessThan(1)] = 0.0
    """Share of the hidden units that an update leaves out, at random for each row."""
    weight_decay: NotNegative = 0.0
    """Each update shrinks the weights by this share times the step size, as in AdamW."""
    logit_penalty: NotNegative = 0.0
    """Weight of the mean square of the logits."""
    mixup: NotNegative = 0.0
    """Learn from mixtures of an expert's and a learner's row, whose shares are drawn from Beta(mixup, mixup); 0 learns from
    the rows themselves."""

    d_stepsize: Positive | None = None
    """Adam's step size. None takes 0.003 with a gradient penalty, which slows D, and 0.0003 without."""
    schedule: Literal["constant", "linear"] = "constant"
    """The step size stays the same (constant), or falls to 0 in a straight line by the end of the run (linear), which --steps
    or --iterations sets."""
    d_batch_size: Count | None = None
    """Learner's rows in one update; None splits the iteration's rows into d_step minibatches. If it is the number of
    the iteration's rows, every update takes all of them."""
    expert_batch_size: Count | None = None
    """Expert's rows in one update; None takes as many as there are learner's rows."""
    replay_iterations: Annotated[int, AtLeast(0)] = 0
    """Number of earlier iterations whose rows D goes on learning from; 0 forgets them."""
    replay_share: Fraction = 0.5
    """Share of the learner's rows of an update that come from earlier iterations."""
    rest_above: Fraction | None = None
    """An update is left out if D is right about more than this share of its rows; None leaves out no update."""
    absorbing: bool | None = None
    """Let an episode that ended by termination go on in an absorbing state, for both sides and in the reward, up to the time
    limit or twice the demonstrations' mean length (Kostrikov et al. 2019): then no reward form favours a longer or shorter
    life by itself. None does so for gail if reward is auto, most of the demonstrations end by termination, and the
    environment has a time limit."""

    reward: Literal["auto", "-log(1-D)", "log(D)", "logit", "fairl", "amp"] = "auto"
    """-log(1-D), never negative, rewards staying alive; log(D), never positive, suits tasks that end on success; logit is
    their sum, log(D) - log(1-D), of either sign; fairl is -logit exp(logit); amp is 1 - (1-D)^2. With
    auto, demonstrations decide. If most of them end by termination (before the time limit, if the file does not say how),
    it takes logit with absorbing states, or log(D) if these are off or there is no time limit. Otherwise it takes
    -log(1-D). For airl, wasserstein and absorbing it always takes logit. The rewards of fem, gtal and constant take their
    sign from log(D) or -log(1-D)."""
    reward_normalise: Literal["none", "scale", "standardise"] = "none"
    """Divide the reward by its running standard deviation (scale), after subtracting its running mean (standardise). The
    latter takes away the sign that --discriminator.reward was chosen for, so it suits tasks of one fixed length."""
    reward_clip: Positive | None = None
    """Limit on the magnitude of the reward, before reward_scale; None switches the limit off."""
    reward_scale: Positive = 1.0
    """Factor of the reward; beside --task_weight, the weight of the style."""

    @property
    def may_penalise(self) -> bool:
        """Whether the gradient penalty has a weight, unless what D sees leaves it without one."""
        if self.gradient_penalty is None:
            return self.gradient_penalty_at != "between" or self.expert_batch_size is None
        return self.gradient_penalty > 0


@dataclass(frozen=True)
class AIRLConfig:
    """The potential of --adversary airl: its logit is g + gamma h(s') - h(s) - log pi(a|s)."""

    hidden_sizes: HiddenSizes = (100, 100)
    """Units of each hidden layer of h. Those of g are the discriminator's, and discriminator.inputs are what g sees."""
    shaping: bool = True
    """Use a potential h; without it, the logit is g - log pi(a|s)."""
    entropy_weight: NotNegative = 0.1
    """Weight of -log pi(a|s) in the learner's reward, f - entropy_weight log pi(a|s); D judges by weight 1. With 1, as in the
    paper, much of the pay is for being random, and HalfCheetah is learned slowly."""


@dataclass(frozen=True)
class CloningStartConfig:
    """The cloning that --init_policy bc begins with; the network is the policy's own."""

    iterations: Count = 20_001
    """Adam steps."""
    eval_every: Count = 1000
    """Adam steps between looks at the validation score; the best policy seen is kept."""
    batch_size: Count = 128
    """Pairs of one step, drawn with replacement."""
    stepsize: Positive = 1e-3
    """Adam's step size."""
    train_share: Annotated[Positive, LessThan(1)] = 0.7
    """Share of the pairs to learn from; the others are for validation."""
    min_log_std: float | None = None
    """Least log standard deviation of a cloned Gaussian policy; None takes --policy.init_log_std, so that it explores as
    much as a random one."""


@dataclass(frozen=True)
class Config:
    """Everything that decides what a run computes."""

    env: Annotated[str, Positional("ENV")]
    """Environment id, module:Id, or module:name of a class or function that makes one."""
    expert: str | None = None
    """File or folder of demonstrations, or a name of `trpo-gail data list`. The many formats include HDF5 files of this
    package, D4RL and Minari, .npz files of Stable-Baselines and others, trajectories of imitation, LeRobot, CSV and JSON;
    `trpo-gail data --help` says more. An adversary that does not imitate needs no file. If you give one, its mean return is
    the expert's in the score."""
    trajectories: Count | None = None
    """Use the first N trajectories of the file; None uses all."""
    subsample: Count = 1
    """Use every K-th row of each trajectory, from a random start below K."""
    preset: PresetName = "default"
    """Set of defaults to start from: this package's own (default), Stable-Baselines 2's, or Ho & Ermon's (paper)."""
    generator: Annotated[str, OneOf(choices.GENERATORS)] = "trpo"
    """What improves the policy: a step of TRPO, of PPO, or nothing (none), which with --init_policy bc is behavioural
    cloning. Flags of another generator are refused. module:function makes one of your own."""
    adversary: Annotated[str, OneOf(choices.ADVERSARIES)] = "gail"
    """What computes the policy's reward: the discriminator (gail); one that learns a reward to keep (airl); a linear reward,
    by feature expectation matching (fem) or game-theoretic apprenticeship learning (gtal); the same for every step
    (constant); the environment (env_reward), which trains experts; or a reward that an earlier run has learned (exported).
    module:function makes one of your own."""
    reward_file: str | None = None
    """With --adversary exported: the file of the reward, which `trpo-gail export RUN --reward FILE` has written."""
    steps: Count = 1_000_000
    """Environment steps to train for, over all ranks (the processes that mpirun starts)."""
    iterations: Count | None = None
    """Stop after this many iterations, if --steps has not ended the run before; None stops by --steps alone."""
    seed: Annotated[int, AtLeast(0)] = 0
    """Seed of all that is random in the run. Runs with equal seeds and settings are equal."""

    num_envs: Count = 16
    """Number of environments, over all ranks."""
    backend: Literal["auto", "envpool", "gymnasium"] = "auto"
    """Library that runs the environments; auto takes EnvPool if it offers the id."""
    env_kwargs: Annotated[str, JsonObject()] = "{}"
    """Arguments of the environment, as a JSON object."""
    actions: Literal["auto", "raw", "executed"] = "auto"
    """What the discriminator and the environment see of an action: the sample (raw), or the sample clipped to the bounds
    (executed), which the discriminator then sees of the expert's actions, too; auto takes what the file of demonstrations
    says."""
    action_scaling: bool = True
    """The policy acts in normalised units: it sees a Box's bounded dimensions as [-1, 1], whatever the bounds are."""
    max_episode_steps: Count | None = None
    """Cut episodes after this many steps, in place of the environment's own time limit; None keeps that limit, or cuts after
    30,000 steps if the environment has no limit."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device that computes updates; sampling is always on the CPU."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision of networks and updates."""

    sampling: Literal["steps", "episodes"] = "steps"
    """A batch is a fixed number of steps, and unfinished episodes go on in the next batch (steps); or a batch is made of
    whole episodes (episodes)."""
    timesteps_per_batch: Count = 2048
    """Environment steps per generator step, over all ranks; with --sampling episodes, at least this many."""
    restart_every: Count = 100
    """With --sampling steps: iterations after which all environments begin new episodes from new seeds. A resume replays the
    steps since then, so this number bounds the time that it takes."""

    g_step: Count = 1
    """Generator steps per iteration, each on a fresh batch."""
    d_step: Count = 16
    """Discriminator updates (Adam steps) per iteration."""
    gamma: Fraction = 0.99
    """Discount factor."""
    lam: Fraction = 0.97
    """Lambda of generalised advantage estimation."""
    time_limits: Literal["bootstrap", "terminal"] = "bootstrap"
    """What counts as the return after a time limit: the critic's value of the last observation (bootstrap), or 0
    (terminal)."""
    causal_entcoeff: NotNegative = 0.0
    """Weight of the policy's causal entropy: -causal_entcoeff log pi(a|s) is added to the adversary's reward."""
    task_weight: NotNegative = 0.0
    """Weight of the environment's own reward, which is added to the adversary's."""
    task_weight_end: NotNegative | None = None
    """Value that task_weight reaches, in a straight line, at the end of --steps; None keeps task_weight constant."""
    fixed_horizon: bool = False
    """Refuse episodes of different lengths, in the demonstrations and in training; otherwise, the length of an episode alone
    could show the discriminator who acted in it, or decide what the policy is paid."""
    normalise_from_expert: bool = False
    """Start the normalisers of all networks with the demonstrations' statistics; a policy of --init_policy keeps its own."""
    init_policy: str | None = None
    """Start from a policy that has already learned. bc clones the demonstrations first (--cloning.*). A run folder gives its
    last policy; a file in its checkpoints/ gives the policy in that file. Flags of the policy's network that are not given
    are then as in that run. The critic starts from scratch, since its values would be of another reward. None starts from a
    random policy."""
    warmup_iterations: Annotated[int, AtLeast(0)] = 0
    """Number of iterations at the start in which only the adversary and the critic learn, and the policy stays as it is."""

    policy: PolicyConfig = field(default_factory=PolicyConfig)
    critic: Annotated[CriticConfig, Short("vf_iters", "vf_stepsize")] = field(default_factory=CriticConfig)
    trpo: Annotated[TRPOConfig, Short("max_kl", "cg_iters", "cg_damping", "entcoeff")] = field(
        default_factory=TRPOConfig
    )
    ppo: PPOConfig = field(default_factory=PPOConfig)
    discriminator: Annotated[
        DiscriminatorConfig, Short("hidden_size_adversary", "adversary_entcoeff", "d_stepsize")
    ] = field(default_factory=DiscriminatorConfig)
    airl: AIRLConfig = field(default_factory=AIRLConfig)
    cloning: CloningStartConfig = field(default_factory=CloningStartConfig)

    eval_every: Annotated[int, AtLeast(0)] = 50_000
    """Steps between deterministic evaluations; 0 evaluates only at the end."""
    eval_episodes: Count = 20
    """Episodes of an evaluation during training."""
    final_episodes: Annotated[int, AtLeast(0)] = 50
    """Episodes of the evaluation at the end, and of the random policy's, which the score needs; 0 skips both."""
    success: Annotated[str, SuccessRule()] | None = None
    """When an episode is a success: return>=200, length<50, terminated or truncated, or several of them joined by "and".
    None takes what the environment says: success or is_success in the info of the episode's last step."""
    save_every: Annotated[str, Interval()] = "5m"
    """Iterations (such as 20) or minutes (such as 5m) between checkpoints."""

    def __post_init__(self) -> None:
        make_plain(self)
        check.training(self)

    @property
    def imitates(self) -> bool:
        """Whether the adversary needs demonstrations. Raises UserError if it cannot be imported."""
        return choices.find(choices.ADVERSARIES, self.adversary).imitates

    @property
    def starts_from_run(self) -> bool:
        """Whether the first policy is another run's."""
        return self.init_policy not in (None, "bc")

    @property
    def sees_actions(self) -> bool:
        """Whether some part of the run looks at the demonstrations' actions. Raises UserError as `imitates` does."""
        if self.init_policy == "bc":
            return True
        by_inputs = self.adversary == "gail" and "action" not in self.discriminator.inputs
        return self.imitates and not by_inputs

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
            "images": self.policy.images,
            "numbers": self.policy.numbers,
        }

    @property
    def expected_steps(self) -> int:
        """Steps at the end, by `steps` and `iterations`; whole episodes may make it some more."""
        return self.steps if self.iterations is None else min(self.steps, self.iterations * self.steps_per_iteration)

    @property
    def steps_per_iteration(self) -> int:
        """Steps of one iteration; whole episodes may make it some more."""
        return self.timesteps_per_batch * self.g_step

    @property
    def save_interval(self) -> tuple[float, Literal["iterations", "minutes"]]:
        number, unit = Interval.FORM.fullmatch(self.save_every).groups()  # type: ignore[union-attr]
        return float(number), "minutes" if unit else "iterations"


@dataclass(frozen=True)
class CloningConfig:
    """Everything that decides what behavioural cloning computes. The defaults are the paper's for MuJoCo."""

    env: Annotated[str, Positional("ENV")]
    """Environment id, module:Id, or module:name of a class or function that makes one."""
    expert: str
    """File or folder of demonstrations, or a name of `trpo-gail data list`. The many formats include HDF5 files of this
    package, D4RL and Minari, .npz files of Stable-Baselines and others, trajectories of imitation, LeRobot, CSV and JSON;
    `trpo-gail data --help` says more."""
    trajectories: Count | None = None
    """Use the first N trajectories of the file; None uses all."""
    subsample: Count = 1
    """Use every K-th row of each trajectory, from a random start below K."""
    seed: Annotated[int, AtLeast(0)] = 0
    """Seed of all that is random in the run. Runs with equal seeds and settings are equal."""
    iterations: Count = 20_001
    """Adam steps."""
    eval_every: Count = 1000
    """Adam steps between looks at the validation score, the first look after the first step; the best policy seen is kept."""
    batch_size: Count = 128
    """Pairs of one step, drawn with replacement."""
    stepsize: Positive = 1e-3
    """Adam's step size."""
    train_share: Annotated[Positive, LessThan(1)] = 0.7
    """Share of the pairs to learn from; the others are for validation."""
    hidden_sizes: HiddenSizes = (100, 100)
    """Units of each of the policy's hidden layers (tanh)."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision of the network and its updates."""
    backend: Literal["auto", "envpool", "gymnasium"] = "auto"
    """Library that runs the environments of the evaluation; auto takes EnvPool if it offers the id."""
    env_kwargs: Annotated[str, JsonObject()] = "{}"
    """Arguments of the environment, as a JSON object."""
    actions: Literal["auto", "raw", "executed"] = "auto"
    """What the environment sees of an action: the policy's own (raw), or that clipped to the bounds (executed); auto takes
    what the file of demonstrations says."""
    action_scaling: bool = True
    """The policy acts in normalised units: it sees a Box's bounded dimensions as [-1, 1], whatever the bounds are."""
    max_episode_steps: Count | None = None
    """Cut episodes after this many steps, in place of the environment's own time limit; None keeps that limit, or cuts after
    30,000 steps if the environment has no limit."""
    final_episodes: Annotated[int, AtLeast(0)] = 50
    """Episodes of the evaluation at the end, and of the random policy's, which the score needs; 0 skips both."""
    success: Annotated[str, SuccessRule()] | None = None
    """When an episode is a success: return>=200, length<50, terminated or truncated, or several of them joined by "and".
    None takes what the environment says: success or is_success in the info of the episode's last step."""
    policy: SeeingConfig = field(default_factory=SeeingConfig)

    def __post_init__(self) -> None:
        make_plain(self)
        check.ranges(self)

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
            policy=PolicyConfig(
                self.hidden_sizes, init_log_std=0.0, output_scale=0.0, observation_clip=None, **vars(self.policy)
            ),
            final_episodes=self.final_episodes,
            success=self.success,
        )
