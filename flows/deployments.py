"""The deployments of `prefect.yaml` as Prefect's objects: the file alone says what is deployed, `ratecard serve` reads it."""

import os
from datetime import timedelta
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, cast

import yaml
from prefect.client.schemas.objects import ConcurrencyLimitConfig
from prefect.deployments.runner import RunnerDeployment
from prefect.events import DeploymentTriggerTypes
from prefect.exceptions import PrefectException
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect.schedules import Schedule
from prefect.types.entrypoint import EntrypointType
from prefect.utilities.templating import apply_values
from pydantic import TypeAdapter, ValidationError

from schemas.errors import UsageError

_MISTAKES = (OSError, yaml.YAMLError, KeyError, TypeError, ValueError, ValidationError, ImportError, PrefectException)
_TRIGGERS: TypeAdapter[list[DeploymentTriggerTypes]] = TypeAdapter(list[DeploymentTriggerTypes])


def deployments_file() -> Path:
    """./prefect.yaml, else the one that ships with Ratecard."""
    here = Path("prefect.yaml")
    if here.exists():
        return here
    with as_file(files("flows")) as folder:
        shipped = Path(folder) / "prefect.yaml"  # in a wheel
        return shipped if shipped.exists() else Path(folder).parent / "prefect.yaml"


async def read_deployments(path: Path) -> list[RunnerDeployment]:
    """Every deployment of `path`, for the machine that reads it: work pools and their variables are left out.

    Raises:
        UsageError: the file is no list of deployments, or one of them is wrong.

    """
    try:
        asked: list[dict[str, Any]] = yaml.safe_load(path.read_text())["deployments"]
        return [await _deployment(config) for config in asked]
    except _MISTAKES as error:
        raise UsageError(f"{path}: {type(error).__name__}: {error}") from error


async def _deployment(config: dict[str, Any]) -> RunnerDeployment:
    # {{ $NAME }} is the environment's; {{ event… }} of a trigger stays for the event
    config = cast(dict[str, Any], apply_values(config, dict(os.environ), remove_notset=False))
    flow: Flow[..., Any] = load_flow_from_entrypoint(config["entrypoint"])
    limit = config.get("concurrency_limit")
    triggers = _TRIGGERS.validate_python(config.get("triggers", []))
    return await flow.ato_deployment(
        config["name"],
        description=config.get("description"),
        tags=config.get("tags"),
        version=config.get("version"),
        paused=config.get("paused"),
        parameters=config.get("parameters"),
        enforce_parameter_schema=config.get("enforce_parameter_schema", True),
        concurrency_limit=ConcurrencyLimitConfig.model_validate(limit) if isinstance(limit, dict) else limit,
        schedules=[_schedule(schedule) for schedule in config.get("schedules", [])],
        triggers=list(triggers),
        entrypoint_type=EntrypointType.FILE_PATH if ":" in config["entrypoint"] else EntrypointType.MODULE_PATH,
    )


def _schedule(config: dict[str, Any]) -> Schedule:
    interval = config.get("interval")
    timed = {"interval": timedelta(seconds=interval)} if interval is not None else {}
    return Schedule(**(config | timed))
