"""schema: TFX's SchemaGen with an executor that imports less."""

from tfx.components.schema_gen import component
from tfx.dsl.components.base import executor_spec

from graft.components.schema.executor import Executor


class SchemaGen(component.SchemaGen):
    """Infers a schema from statistics."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
