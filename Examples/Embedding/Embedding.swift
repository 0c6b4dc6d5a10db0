// A program that embeds Leafcutter:  embedding MODEL.leaf PROMPT
import Leafcutter

@main struct Embedding {
    static func main() async throws {
        let arguments = CommandLine.arguments
        guard arguments.count == 3 else { return print("usage: embedding MODEL.leaf PROMPT") }

        // Everything is planned and allocated here; 128 MiB are the ceiling for the whole process.
        let options = ModelOptions(capacity: .init(context: 256))
        let model = try Model(path: arguments[1], memory: .mebibytes(128), options: options)

        for try await piece in model.generate(arguments[2], GenerationOptions(decoding: .greedy)) {
            print(piece.text, terminator: "")
        }
        print()
    }
}
