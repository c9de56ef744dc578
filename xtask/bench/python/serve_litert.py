"""Google's tflite runtime (LiteRT) on the CPU, kept loaded."""

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from serving import parse_arguments, serve

# Numbers of the points of a body, and of their heat maps.
POINTS, HEATMAPS = 39 * 5, 64 * 64 * 39


def logit(probability):
    # What is as good as certain has no logit.
    probability = np.clip(probability.astype(np.float64), 1e-7, 1 - 1e-7)
    return np.log(probability / (1 - probability)).astype(np.float32)


def join(outputs):
    """The outputs as `Network.run` gives them. Of landmarks the mask and the points in metres are left away."""
    by_size = {output.size: output for output in outputs}
    parts = sorted(outputs, key=lambda output: -output.size)
    if POINTS in by_size:
        parts = [by_size[POINTS], logit(by_size[1]), by_size[HEATMAPS]]
    return np.concatenate([part.ravel() for part in parts])


def main():
    model, pictures, arguments = parse_arguments()
    pictures = np.ascontiguousarray(pictures.transpose(0, 2, 3, 1))

    def load(model):
        interpreter = Interpreter(model_content=model, num_threads=arguments.threads)
        interpreter.allocate_tensors()
        place = interpreter.get_input_details()[0]["index"]
        places = [output["index"] for output in interpreter.get_output_details()]

        def forward(pictures):
            interpreter.set_tensor(place, pictures)
            interpreter.invoke()
            return [interpreter.get_tensor(place) for place in places]

        return forward

    serve(load, model, pictures, join=join)


if __name__ == "__main__":
    main()
