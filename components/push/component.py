"""push: a blessed model becomes the served version of the model store."""

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from graft.components.push.executor import Executor


class PushSpec(ComponentSpec):
    """Inputs, outputs and parameters of `Push`."""

    PARAMETERS = {
        "model_name": ExecutionParameter(type=str),
        "store": ExecutionParameter(type=str),
        "store_id": ExecutionParameter(type=str),
        "pointer": ExecutionParameter(type=str),
        "keep": ExecutionParameter(type=int),
        "metadata": ExecutionParameter(type=str),
        "trust": ExecutionParameter(type=int),
        "code": ExecutionParameter(type=str),
    }
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "model_blessing": ChannelParameter(type=standard_artifacts.ModelBlessing),
        "infra_blessing": ChannelParameter(type=standard_artifacts.InfraBlessing),
    }
    OUTPUTS = {"pushed_model": ChannelParameter(type=standard_artifacts.PushedModel)}


class Push(base_component.BaseComponent):
    """Pushes a model that both gates blessed, atomically (`serving.store`).

    Outputs `pushed_model` (`PushedModel`; custom properties pushed_version, pushed_destination and
    served_version, which is another one where the pointer is pinned).
    """

    SPEC_CLASS = PushSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        model: types.BaseChannel,
        model_blessing: types.BaseChannel,
        infra_blessing: types.BaseChannel,
        model_name: str,
        store: str,
        store_id: str,
        pointer: str,
        keep: int,
        metadata: str,
        trust: int,
        code: str,
    ):
        """Wires the component.

        Args:
            model: the candidate.
            model_blessing: blessing of `quality_gate`.
            infra_blessing: blessing of `serving_check`.
            model_name: name in the store.
            store: folder of the model store.
            store_id: identity of that store, so that a new store at the same path is no cache hit.
            pointer: state of its pointer (`components.baseline`), so that one moved by hand is no cache hit.
            keep: versions to keep.
            metadata: JSON kept in the version's manifest (config, data fingerprint, code, backbone).
            trust: 1 if the model may do more than compute, as its backbone may.
            code: version of the code, so that a change of it is no cache hit.
        """
        super().__init__(
            PushSpec(
                model=model,
                model_blessing=model_blessing,
                infra_blessing=infra_blessing,
                model_name=model_name,
                store=store,
                store_id=store_id,
                pointer=pointer,
                keep=keep,
                metadata=metadata,
                trust=trust,
                code=code,
                pushed_model=types.Channel(type=standard_artifacts.PushedModel),
            )
        )
