import GoldenSupport
import LeafFormat
import LeafGeneration
import LeafServer
import LeafSystem
import LeafWire
import Leafcutter
import Testing

/// Prompts in front of their answers, scored under the mask of training.
@Suite struct EchoTests {
    private let desk: Desk
    private static let text = "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。"

    init() throws { desk = try Desk.shared.get() }

    /// What `perplexity` with a prefix of `<s>` alone computes for each token.
    private func perplexity(_ text: String) throws -> (ids: [Int32], logprobs: [Double], whole: Double) {
        let file = desk.model.file
        let input = try PerplexityInput(json: Array(#"{"text":"\#(text)","prefix":1}"#.utf8)[...])
        let windows = try input.windows(for: file)
        var scores: [TokenScore] = []
        var report = PerplexityReport(context: 512)
        let requests = try windows.map { try $0.request(for: file, GenerationOptions()) }
        try desk.model.answer(requests) { index, answer in
            guard let found = try? answer.get() else { return }
            scores += found
            report.add(windows[index], found, file.tokenizer)
        }
        return (scores.map(\.id), scores.map(\.logprob), report.logprob)
    }

    @Test func aPromptIsScoredAsPerplexityScoresIt() throws {
        let wanted = try perplexity(Self.text)
        for (prompt, shown) in [
            ("\"\(Self.text)\"", wanted.ids), ("\(wanted.ids)", wanted.ids), ("\([6] + wanted.ids)", [6] + wanted.ids),
        ] {
            let choice = try desk.whole(
                .completions, "{\"prompt\":\(prompt),\"max_tokens\":0,\"echo\":true,\"logprobs\":1}")["choices"][0]
            let logprobs = choice["logprobs"]
            let numbers = logprobs["token_logprobs"].numbers
            #expect(numbers.count == shown.count && logprobs["tokens"].list.count == shown.count)
            #expect(numbers[0] == nil && logprobs["top_logprobs"][0].isNull)
            #expect(Array(numbers.dropFirst()) == wanted.logprobs.suffix(shown.count - 1).map { $0 as Double? })
            for (number, top) in zip(numbers, logprobs["top_logprobs"].list).dropFirst() {
                let found = top.fields.values.compactMap(\.number)
                let number = try #require(number)
                #expect(found.contains(number) && number <= found.max() ?? 0)
            }
            #expect(choice["text"].text == (shown.first == 6 ? "<s>" : "") + Self.text)
            #expect(choice["finish_reason"].text == "length")
            // With `<s>` in front the sum is that of the whole text.
            if shown.first == 6 {
                #expect(numbers.compactMap { $0 }.reduce(0, +) == wanted.whole)
            }
        }
    }

    @Test func offsetsAreThoseOfTheText() throws {
        let token = try #require(desk.model.tokenizer)
        // A character that no vocabulary of Chinese has stands between.
        for text in [Self.text, "春\u{1F9A5}眠 a\u{1F9A5}", "\u{1F9A5}"] {
            let choice = try desk.whole(
                .completions,
                "{\"prompt\":\"\(text)\",\"max_tokens\":3,\"echo\":true,\"logprobs\":0,\"seed\":1}")["choices"][0]
            let whole = Array(try #require(choice["text"].text).unicodeScalars)
            #expect(String(String.UnicodeScalarView(whole)).hasPrefix(text))
            let logprobs = choice["logprobs"]
            for (name, offset) in zip(logprobs["tokens"].list, logprobs["text_offset"].ids) {
                let scalars = Array(try #require(name.text).unicodeScalars)
                #expect(whole[Int(offset)...].starts(with: scalars), "\(name) at \(offset)")
            }
            let known = token.encode(text).filter { $0 != 1 }.count
            #expect(logprobs["tokens"].list.count == known + 3)
        }
    }

    @Test func fewRowsOfLogitsGiveTheSameBytes() throws {
        let narrow = try Desk.narrow.get()
        let body = "{\"prompt\":[\"\(Self.text)\",\"春\"],\"max_tokens\":4,\"echo\":true,\"logprobs\":3,\"seed\":1}"
        #expect(try narrow.whole(.completions, body) == desk.whole(.completions, body))
    }

    @Test func anEchoAloneNeedsNoModel() throws {
        let answers = try desk.answers(.completions, #"{"prompt":"春眠","max_tokens":0,"echo":true,"n":2}"#)
        #expect(answers.request.sequences == 0)
        #expect(answers.whole?["choices"].list.map(\.["text"].text) == ["春眠", "春眠"])
        let stream = try desk.answers(.completions, #"{"prompt":"春眠","max_tokens":0,"echo":true,"stream":true}"#)
        #expect(stream.chunks.compactMap(\.["choices"][0]["text"].text).joined() == "春眠")
        #expect(stream.chunks.compactMap(\.["choices"][0]["finish_reason"].text) == ["length"])
    }
}
