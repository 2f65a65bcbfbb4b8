"""MuJoCo models as in the paper's MuJoCo: gymnasium's files with the capsules' masses of versions before 2.1.1.

Before 2.1.1, a capsule of radius r and length h had the mass and inertia of a cylinder of length h + r; now they are
exact. So the paper's bodies were 2 to 13 % heavier (the Humanoid's pelvis 6.616 kg, not 5.853). Here every body has the
old mass, centre and inertia explicitly, in a file that today's MuJoCo and EnvPool's read alike.
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import gymnasium
import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.system import whole_file

ASSETS = Path(gymnasium.__file__).parent / "envs" / "mujoco" / "assets"
ENVPOOL_FOLDER = "mujoco/assets_gym"  # EnvPool looks in this folder of its `base_path`


def model_file(name: str) -> Path:
    """The file of the model `name`, e.g. "hopper", written at the first call.

    It is in a temporary folder of this process, so that processes do not share it. If it has been deleted, it is
    written again, since EnvPool reads it whenever environments restart. Its content depends only on the versions of
    gymnasium and mujoco. Raises UserError if mujoco is not installed.
    """
    path = Path(_folder().name) / ENVPOOL_FOLDER / f"{name}.xml"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        whole_file.write(path, model_xml(name).encode())
    return path


def base_path(name: str) -> str:
    """The value of EnvPool's option `base_path` that makes its `xml_file` the model `name`."""
    return str(model_file(name).parents[2])


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="trpo_gail_models_")  # removed when the process ends


@functools.cache
def model_xml(name: str) -> str:
    """gymnasium's model `name` with the old inertials written out; numbers have all digits, so nothing is rounded."""
    tree = ElementTree.fromstring((ASSETS / f"{name}.xml").read_text(encoding="utf-8"))
    compiler = tree.find("compiler")
    assert compiler is not None
    total = compiler.attrib.pop("settotalmass", None)  # kg; MuJoCo 4 deprecates it
    old = _with_cylinders(ElementTree.tostring(tree, encoding="unicode"))
    scale = float(total) / old.body_mass.sum() if total else 1.0
    for number, body in enumerate(
        tree.iter("body"), start=1
    ):  # bodies are numbered in the file's order; 0 is the world
        inertial = {
            "pos": _numbers(old.body_ipos[number]),
            "quat": _numbers(old.body_iquat[number]),
            "mass": _numbers(old.body_mass[number] * scale),
            "diaginertia": _numbers(old.body_inertia[number] * scale),
        }
        body.insert(0, ElementTree.Element("inertial", inertial))
    compiler.set("inertiafromgeom", "false")
    return ElementTree.tostring(tree, encoding="unicode")


def _with_cylinders(xml: str) -> Any:
    """The compiled model in which every capsule is a cylinder of length h + r: its inertials are the old ones."""
    mujoco = _mujoco()
    kinds, spec = mujoco.mjtGeom, mujoco.MjSpec.from_string(xml)
    today = spec.compile()
    for geom in spec.geoms:
        if today.geom_type[geom.id] == kinds.mjGEOM_CAPSULE:
            radius, half = today.geom_size[geom.id][:2]
            geom.type, geom.size = kinds.mjGEOM_CYLINDER, [radius, half + radius / 2, 0.0]
            # Write the capsule's position in one form, since files use several.
            geom.fromto, geom.alt.type = np.full(6, np.nan), mujoco.mjtOrientation.mjORIENTATION_QUAT
            geom.pos, geom.quat = today.geom_pos[geom.id], today.geom_quat[geom.id]
    return spec.compile()


def _mujoco() -> Any:
    try:
        import mujoco
    except ImportError as error:
        raise UserError(
            "the paper's MuJoCo tasks need mujoco (pip install mujoco imageio), even if EnvPool runs them"
        ) from error
    return mujoco


def _numbers(values: Any) -> str:
    return " ".join(repr(float(value)) for value in np.atleast_1d(values))
