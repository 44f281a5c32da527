"""Settings: flags win over `MEZZO_*` environment, over a configuration file, over defaults.

Each daemon declares its options once, as click options, and cli/setting_options.py looks
into these places. Here is how values are read: durations, and the TOML or JSON file given by
`--config`, whose keys are the option names (with dashes or underscores), either at the top or in a
table named as the daemon.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any, Final

from mezzo.errors import BadConfig
from mezzo.units import Seconds, problem, shown

_UNITS_S: Final = {
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "secs": 1.0,
    "s": 1.0,
    "mins": 60.0,
    "hrs": 3600.0,
    "days": 86400.0,
    "weeks": 604800.0,
}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)?")


def parse_duration(text: str) -> float:
    """Seconds out of Mesos' form: number and ns, us, ms, secs, mins, hrs, days, weeks.

    A bare number is seconds. Raises BadConfig, also beyond what the wire's durations hold.
    """
    match = _DURATION.fullmatch(text.strip())
    unit = match[2] if match else None
    if match is None or (unit is not None and unit not in _UNITS_S):
        raise BadConfig(f"{shown(text)} is no duration: write e.g. 15secs, 10mins, 1weeks")
    seconds = float(match[1]) * (_UNITS_S[unit] if unit else 1.0)
    why = problem(Seconds, seconds)
    if why is not None:
        raise BadConfig(f"{shown(text)} is {seconds:g} seconds: it {why}")
    return seconds


def read_config_file(path: Path, daemon: str) -> dict[str, Any]:
    """The settings of `daemon` in a file, by option name with underscores. Raises BadConfig."""
    try:
        text = path.read_text()
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise BadConfig(f"--config {path}: {error.strerror}: give a readable file") from error
    except ValueError as error:
        raise BadConfig(f"--config {path}: {error}: mend the file") from error
    except RecursionError:
        raise BadConfig(f"--config {path} is nested too deeply: mend the file") from None
    if not isinstance(data, dict):
        raise BadConfig(f"--config {path} holds no table: write name = value lines")
    own = data.get(daemon, {})
    if not isinstance(own, dict):
        raise BadConfig(f"--config {path}: {daemon} must be a table")
    merged = {k: v for k, v in data.items() if not isinstance(v, dict)} | own
    for key, value in merged.items():
        if not isinstance(value, str | int | float) or "\0" in str(value):
            raise BadConfig(
                f"--config {path}: {key} is {shown(value)}: write a text without NUL characters, a "
                "number, true or false"
            )
    return {key.replace("-", "_"): value for key, value in merged.items()}
