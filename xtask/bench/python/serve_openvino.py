"""OpenVINO on the CPU, kept loaded; it reads the network as ONNX, or as tflite where there is no other."""

import openvino

from serving import channels_last, join, parse_arguments, serve


def main():
    model, pictures, arguments = parse_arguments()
    is_tflite = arguments.model.endswith(".tflite")
    if is_tflite:
        pictures = channels_last(pictures)
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": arguments.threads,
        "NUM_STREAMS": 1,
        # Bound to a core its thread would wait for whatever else runs there.
        "ENABLE_CPU_PINNING": False,
        # Else it may take 16 bits where the processor can.
        "INFERENCE_PRECISION_HINT": "f32",
    }

    def load(model):
        # From memory, except tflite, which is read from files only.
        core = openvino.Core()
        network = core.read_model(arguments.model) if is_tflite else core.read_model(model=model)
        network.reshape(pictures.shape)
        request = core.compile_model(network, "CPU", settings).create_infer_request()

        def forward(pictures):
            found = request.infer([pictures], share_inputs=True, share_outputs=True)
            return [output.copy() for output in found.values()]

        return forward

    serve(load, model, pictures, join=join)


if __name__ == "__main__":
    main()
