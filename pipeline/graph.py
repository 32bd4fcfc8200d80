"""The graph: the stages' components, each wired by its room. What runs locally is what compiles for Kubeflow."""

from collections.abc import Sequence

from tfx.dsl.components.base import base_component
from tfx.orchestration import pipeline
from tfx.orchestration.metadata import ConnectionConfigType

from graft.pipeline import stages
from graft.pipeline.config import Config
from graft.pipeline.stages.base import Keys, Wiring


def build_components(config: Config, keys: Keys, last: str | None = None) -> list[base_component.BaseComponent]:
    """The components in topological order, up to the stage `last` if one is named; ids are the stage names."""
    components: dict[str, base_component.BaseComponent] = {}
    for stage in stages.enabled(config):
        components[stage.name] = stage.wire(Wiring(config, keys, components)).with_id(stage.name)
        if stage.name == last:
            break
    return list(components.values())


def build_pipeline(
    config: Config,
    keys: Keys,
    pipeline_root: str,
    connection: ConnectionConfigType | None,
    beam_args: Sequence[str] = (),
    last: str | None = None,
) -> pipeline.Pipeline:
    """The TFX pipeline, with the cache on; see `build_components` for `last`."""
    return pipeline.Pipeline(
        pipeline_name=config.name,
        pipeline_root=pipeline_root,
        components=build_components(config, keys, last),
        metadata_connection_config=connection,
        beam_pipeline_args=list(beam_args),
        enable_cache=True,
    )
