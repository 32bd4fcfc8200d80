"""transform: the vocabulary of the labels, and the graph that looks them up."""

from graft.pipeline.stages import base


class Transform(base.Stage):
    """TFX's Transform; its graph is all that is used of it."""

    name = "transform"
    shown = ("transform_graph",)

    def wire(self, wiring):
        from tfx.components.transform.component import Transform as Component
        from tfx.proto import transform_pb2

        component = Component(
            examples=wiring.output("ingest", "examples"),
            schema=wiring.output("schema", "schema"),
            preprocessing_fn="graft.models.preprocessing.preprocessing_fn",
            custom_config={"target": wiring.parsed.model_dump(mode="json")},
            # The graph is all that is used of it: nothing reads transformed examples or statistics of them.
            splits_config=transform_pb2.SplitsConfig(analyze=["train"]),
            materialize=False,
            disable_statistics=True,
            disable_analyzer_cache=True,
        )
        component.add_upstream_node(wiring.before["data_gate"])
        return component
