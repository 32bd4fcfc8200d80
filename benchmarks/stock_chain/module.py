"""User code of the stock chain: a small Keras 3 classifier of tf.Examples that hold image bytes and a class name."""

import keras
import tensorflow as tf
import tensorflow_transform as tft

IMAGE_SIZE = 32
EPOCHS = 5
BATCH_SIZE = 32


def preprocessing_fn(inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Decodes the images to float32 [n, 32, 32, 3] in [0, 1]; gives each class name its index."""

    def decode(encoded: tf.Tensor) -> tf.Tensor:
        pixels = tf.io.decode_png(encoded, channels=3)
        return tf.ensure_shape(tf.cast(pixels, tf.float32) / 255.0, [IMAGE_SIZE, IMAGE_SIZE, 3])

    return {
        "image_xf": tf.map_fn(decode, tf.reshape(inputs["image"], [-1]), fn_output_signature=tf.float32),
        "label_xf": tft.compute_and_apply_vocabulary(tf.reshape(inputs["label"], [-1, 1]), vocab_filename="label"),
    }


def run_fn(fn_args) -> None:
    """Trains on the transformed Examples and saves the model with the signatures that the Evaluator needs."""
    transform = tft.TFTransformOutput(fn_args.transform_output)
    classes = transform.vocabulary_size_by_name("label")

    def read(files: list[str]) -> tf.data.Dataset:
        paths = tf.io.gfile.glob(files)
        records = tf.data.TFRecordDataset(paths, compression_type="GZIP").batch(BATCH_SIZE)
        parsed = records.map(lambda batch: tf.io.parse_example(batch, transform.transformed_feature_spec()))
        return parsed.map(lambda features: (features["image_xf"], features["label_xf"])).prefetch(tf.data.AUTOTUNE)

    model = keras.Sequential(
        [
            keras.Input((IMAGE_SIZE, IMAGE_SIZE, 3)),
            keras.layers.Conv2D(16, 3, strides=2, activation="relu"),
            keras.layers.Conv2D(32, 3, strides=2, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(read(fn_args.train_files), validation_data=read(fn_args.eval_files), epochs=EPOCHS, verbose=0)

    export = tf.Module()
    export.model, export.transform = model, tf.saved_model.load(transform.transform_savedmodel_dir)
    raw_spec = transform.raw_feature_spec()

    def transformed(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        parsed = tf.io.parse_example(examples, raw_spec)
        return export.transform.transform_fn(parsed)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def transform_features(examples):
        return transformed(examples)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(examples):
        return {"probabilities": model(transformed(examples)["image_xf"])}

    signatures = {"serving_default": serving_default, "transform_features": transform_features}
    tf.saved_model.save(export, fn_args.serving_model_dir, signatures=signatures)
