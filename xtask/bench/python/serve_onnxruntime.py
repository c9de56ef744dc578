"""onnxruntime on the CPU, kept loaded."""

import onnxruntime

from serving import parse_arguments, serve


def main():
    model, pictures, arguments = parse_arguments()

    def load(model):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = arguments.threads
        options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return lambda pictures: session.run(None, {"input": pictures})[0]

    serve(load, model, pictures)


if __name__ == "__main__":
    main()
