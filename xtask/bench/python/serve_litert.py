"""Google's tflite runtime (LiteRT) on the CPU, kept loaded."""

from ai_edge_litert.interpreter import Interpreter

from serving import channels_last, join, parse_arguments, serve


def main():
    model, pictures, arguments = parse_arguments()
    pictures = channels_last(pictures)

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
