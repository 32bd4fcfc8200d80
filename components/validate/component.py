"""validate: TFX's ExampleValidator with an executor that imports less."""

from tfx.components.example_validator import component
from tfx.dsl.components.base import executor_spec

from graft.components.validate.executor import Executor


class ExampleValidator(component.ExampleValidator):
    """Holds statistics against a schema."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)
