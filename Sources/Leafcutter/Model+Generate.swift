public import LeafFormat
public import LeafGeneration
import LeafTokenizer

/// What generation starts from.
public enum Prompt: Sendable, Equatable {
    /// `<s>` is put in front, and characters that the vocabulary lacks are dropped, as CPM-Live does.
    case text(String)
    /// Taken as they are; they should begin with `<s>` (6).
    case ids([Int32])
}

extension ModelFile {
    /// The rows that a prompt becomes.
    /// - Throws: `.usage` for ids that the model does not have, or a text without a vocabulary.
    public func rows(of prompt: Prompt, _ options: GenerationOptions) throws(LeafError) -> PromptRows {
        let ids: [Int32]
        switch prompt {
        case .ids(let given): ids = given
        case .text(let text):
            ids = [Tokenizer.bosID] + (try requireTokenizer().encode(text)).filter { $0 != Tokenizer.unknownID }
        }
        guard !ids.isEmpty else { throw LeafError(.usage, "the prompt has no ids; give at least <s> (6)") }
        return try PromptRows(ids: ids, task: options.task, segment: options.segment, for: configuration)
    }
}

extension Model {
    /// Runs a request to its end on the calling thread's time.
    ///
    /// - Parameters:
    ///   - isCancelled: asked between blocks, on the model's thread; what was generated so far is then the result.
    ///   - onPiece: called for every token, on the model's thread.
    public func generate(
        _ prompt: Prompt, _ options: GenerationOptions = GenerationOptions(), samples: Int = 1,
        isCancelled: () -> Bool = { false }, onPiece: (GeneratedPiece) -> Void = { _ in }
    ) throws(LeafError) -> Generation {
        let request = GenerationRequest(
            prompt: try file.rows(of: prompt, options), options: options, samples: samples)
        return try engine.perform { model throws(LeafError) in
            var generator = try Generator(model: model, vocabulary: tokenizer?.vocabulary)
            return try generator.run(request, isCancelled: isCancelled, onPiece: onPiece)
        }
    }

    /// Streams the pieces of a text as they are generated. Cancelling the task that reads it ends the generation.
    public func generate(
        _ prompt: String, _ options: GenerationOptions = GenerationOptions()
    ) -> AsyncThrowingStream<GeneratedPiece, any Error> {
        AsyncThrowingStream { continuation in
            let cancellation = Cancellation()
            continuation.onTermination = { _ in cancellation.cancel() }
            let vocabulary = tokenizer?.vocabulary
            let file = file
            engine.enqueue { model in
                do throws(LeafError) {
                    let request = GenerationRequest(prompt: try file.rows(of: .text(prompt), options), options: options)
                    var generator = try Generator(model: model, vocabulary: vocabulary)
                    _ = try generator.run(
                        request, isCancelled: { cancellation.isCancelled }, onPiece: { continuation.yield($0) })
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
        }
    }
}
