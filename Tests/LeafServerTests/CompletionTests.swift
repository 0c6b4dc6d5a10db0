import GoldenSupport
import LeafFormat
import LeafGeneration
import LeafServer
import LeafSystem
import LeafWire
import Leafcutter
import Testing

/// Answers to `/v1/completions` and `/v1/chat/completions`, carried out on a real model.
@Suite struct CompletionTests {
    private let desk: Desk
    private var model: Model { desk.model }

    private static let prompt = "《春晓》孟浩然\n"
    private static let json = #""prompt":"《春晓》孟浩然\n""#

    init() throws { desk = try Desk.shared.get() }

    @Test func wholeAnswersAreWhatTheModelGenerates() throws {
        let answer = try desk.whole(.completions, "{\(Self.json),\"max_tokens\":12,\"n\":3,\"seed\":7,\"model\":\"m\"}")
        let wanted = try model.generate(.text(Self.prompt), GenerationOptions(maxTokens: 12, seed: 7), samples: 3)
        #expect(answer["choices"].list.map(\.["text"].text) == wanted.samples.map(\.text))
        #expect(answer["choices"].list.map(\.["finish_reason"].text) == wanted.samples.map(\.finishReason.rawValue))
        #expect(answer["choices"].list.map(\.["index"].integer) == [0, 1, 2])
        #expect(answer["usage"]["prompt_tokens"].integer == wanted.promptTokens)
        #expect(answer["usage"]["completion_tokens"].integer == wanted.completionTokens)
        #expect(answer["seed"].integer == 7)
        #expect(answer["id"].text == "cmpl-x" && answer["object"].text == "text_completion")
        #expect(answer["model"].text == "m" && answer["created"].integer == 5)
        let chat = try desk.whole(
            .chat, #"{"messages":[{"role":"user","content":"《春晓》孟浩然\n"}],"max_tokens":12,"seed":7}"#)
        #expect(chat["choices"][0]["message"]["content"].text == wanted.samples[0].text)
        #expect(chat["choices"][0]["message"]["role"].text == "assistant")
        #expect(chat["object"].text == "chat.completion" && chat["model"].text == "cpm-ant")
    }

    @Test func aSeedThatIsMissingStandsInTheAnswer() throws {
        let first = try desk.whole(.completions, "{\(Self.json),\"max_tokens\":8}")
        let seed = try #require(first["seed"].integer)
        let again = try desk.whole(.completions, "{\(Self.json),\"max_tokens\":8,\"seed\":\(seed)}")
        #expect(again.line == first.line)
    }

    /// Chunks joined are the whole answer, whatever is asked for besides.
    @Test(arguments: ["", #","logprobs":2"#, #","echo":true"#, #","echo":true,"logprobs":1"#, #","stop":["，","。"]"#])
    func chunksJoinedAreTheWholeAnswer(options: String) throws {
        let body = "{\(Self.json),\"max_tokens\":10,\"n\":2,\"seed\":3,\"return_token_ids\":true\(options)"
        let whole = try desk.whole(.completions, body + "}")
        let stream = try desk.answers(
            .completions, body + #","stream":true,"stream_options":{"include_usage":true}}"#)
        #expect(stream.request.isStream && stream.whole == nil)
        let (chunks, last) = (stream.chunks.dropLast(), try #require(stream.chunks.last))
        #expect(last["choices"].list.isEmpty && last["usage"].line == whole["usage"].line)
        for chunk in stream.chunks { #expect(chunk["id"].text == "cmpl-x" && chunk["seed"].integer == 3) }
        for choice in whole["choices"].list {
            let index = try #require(choice["index"].integer)
            let own = chunks.map(\.["choices"][0]).filter { $0["index"].integer == index }
            #expect(own.compactMap(\.["text"].text).joined() == choice["text"].text)
            #expect(own.flatMap(\.["token_ids"].ids) == choice["token_ids"].ids)
            #expect(own.compactMap(\.["finish_reason"].text) == [choice["finish_reason"].text])
            #expect(own.last?["finish_reason"].isNull == false)
            for name in ["tokens", "token_logprobs", "top_logprobs", "text_offset", "top_ids"] {
                let joined = own.flatMap(\.["logprobs"][name].list)
                #expect("\(joined)" == "\(choice["logprobs"][name].list)", "\(name)")
            }
        }
        let prompt = try model.file.rows(of: .text(Self.prompt), GenerationOptions()).ids
        #expect(whole["prompt_token_ids"].ids == prompt && stream.chunks[0]["prompt_token_ids"].ids == prompt)
        let isCounted = chunks.allSatisfy(\.["usage"].isNull)
        #expect(isCounted)
    }

    @Test func aChatsStreamBeginsWithTheRole() throws {
        let body = #"{"messages":[{"role":"system","content":"《春晓》"},{"role":"user","content":"孟浩然"}],"#
        let options = #""max_completion_tokens":9,"seed":1,"logprobs":true,"top_logprobs":2"#
        let whole = try desk.whole(.chat, body + options + "}")
        let chunks = try desk.answers(.chat, body + options + #","stream":true}"#).chunks
        let choices = chunks.map(\.["choices"][0])
        #expect(choices[0]["delta"]["role"].text == "assistant")
        let isFollowing = choices.dropFirst().allSatisfy(\.["delta"]["role"].isMissing)
        #expect(isFollowing)
        #expect(
            choices.compactMap(\.["delta"]["content"].text).joined() == whole["choices"][0]["message"]["content"].text)
        #expect(choices.compactMap(\.["finish_reason"].text).count == 1)
        let entries = choices.flatMap(\.["logprobs"]["content"].list)
        #expect("\(entries)" == "\(whole["choices"][0]["logprobs"]["content"].list)")
        #expect(entries.allSatisfy { $0["top_logprobs"].list.count == 2 })
        #expect(chunks.allSatisfy { $0["object"].text == "chat.completion.chunk" && $0["usage"].isMissing })
        // The texts of messages, joined.
        let wanted = try model.generate(.text("《春晓》\n孟浩然"), GenerationOptions(maxTokens: 9, seed: 1))
        #expect(whole["choices"][0]["message"]["content"].text == wanted.samples[0].text)
    }

    @Test func promptsOfOneRequestAreAnsweredEachByItself() throws {
        // More than go on at the same time.
        let prompts = (0..<2 * Desk.sequences + 1).map { "春眠不觉晓，第\($0)" }
        let list = prompts.map { "\"\($0)\"" }.joined(separator: ",")
        let answers = try desk.answers(.completions, "{\"prompt\":[\(list)],\"max_tokens\":4,\"seed\":2,\"n\":2}")
        #expect(answers.request.sequences == Desk.sequences)
        let choices = try #require(answers.whole)["choices"].list
        #expect(choices.count == 2 * prompts.count)
        for (number, prompt) in prompts.enumerated() {
            let wanted = try model.generate(.text(prompt), GenerationOptions(maxTokens: 4, seed: 2), samples: 2)
            #expect(choices[2 * number..<2 * number + 2].map(\.["text"].text) == wanted.samples.map(\.text))
        }
        // Ids as a client has them, with and without what stands in front of all texts.
        let ids = try #require(model.tokenizer).encode("春眠不觉晓，")
        let forms = [ids, [6] + ids].map { "\($0)" }
        let both = try desk.whole(.completions, "{\"prompt\":[\(forms.joined(separator: ","))],\"seed\":4}")
        #expect(both["choices"][0]["text"].text == both["choices"][1]["text"].text)
        let one = try desk.whole(.completions, "{\"prompt\":\(ids),\"seed\":4}")
        #expect(one["choices"][0]["text"].text == both["choices"][0]["text"].text)
    }

    @Test func theBestOfSomeHaveTheHighestMeans() throws {
        let answer = try desk.whole(.completions, "{\(Self.json),\"max_tokens\":6,\"n\":2,\"best_of\":4,\"seed\":9}")
        let all = try model.generate(
            .text(Self.prompt), GenerationOptions(maxTokens: 6, seed: 9, logprobs: 0), samples: 4)
        let ranked = all.samples.map { sample in
            (sample.text, sample.logprobs.map(\.chosen.logprob).reduce(0, +) / Double(sample.logprobs.count))
        }.sorted { $0.1 > $1.1 }
        #expect(answer["choices"].list.map(\.["text"].text) == ranked.prefix(2).map(\.0))
        #expect(answer["choices"][0]["logprobs"].isNull)
        #expect(answer["usage"]["completion_tokens"].integer == all.completionTokens)
    }

    @Test func beamsHaveScores() throws {
        let body = "{\(Self.json),\"max_tokens\":6,\"beams\":3,\"n\":2"
        let answer = try desk.whole(.completions, body + "}")
        let wanted = try model.generate(
            .text(Self.prompt), GenerationOptions(decoding: .beams(3), maxTokens: 6), samples: 2)
        #expect(answer["choices"].list.map(\.["text"].text) == wanted.samples.map(\.text))
        #expect(answer["choices"].list.map(\.["score"].number) == wanted.samples.map(\.score))
        let chunks = try desk.answers(.completions, body + #","stream":true}"#).chunks
        for index in 0..<2 {
            let own = chunks.map(\.["choices"][0]).filter { $0["index"].integer == index }
            #expect(own.compactMap(\.["text"].text).joined() == wanted.samples[index].text)
            #expect(own.compactMap(\.["score"].number) == [wanted.samples[index].score])
        }
    }

    /// Chunks are no measure: a chat's role is one, and text that may be a stop string has none yet.
    @Test func eachTokenIsToldOnceWhateverShowsIt() throws {
        let bodies: [(AnswerDesk.Route, String)] = [
            (.completions, "{\(Self.json),\"max_tokens\":10,\"n\":2,\"seed\":3,\"echo\":true,\"logprobs\":1"),
            (.completions, "{\(Self.json),\"max_tokens\":20,\"greedy\":true,\"stop\":[\"。\"]"),
            (.completions, "{\(Self.json),\"max_tokens\":6,\"beams\":3,\"n\":2"),
            (.completions, #"{"prompt":"床前明月光，","suffix":"举头望明月。","max_tokens":3,"greedy":true"#),
            (.chat, #"{"messages":[{"role":"user","content":"《春晓》孟浩然\n"}],"max_tokens":9,"seed":1"#),
        ]
        for (route, body) in bodies {
            let whole = try desk.answers(route, body + "}")
            let counted = try #require(whole.whole?["usage"]["completion_tokens"].integer)
            #expect(counted > 0 && whole.tokens == counted, "\(body)")
            #expect(try desk.answers(route, body + #","stream":true}"#).tokens == counted, "\(body)")
        }
        let filling = try desk.answers(.fill, #"{"text":"床前<blank:1>光，疑是<blank:2>霜。","seed":1}"#)
        #expect(filling.tokens == 3)
        #expect(try desk.answers(.score, #"{"context":"春眠","target":"不觉晓"}"#).tokens == 0)
    }

    @Test func aSuffixMakesABlank() throws {
        let body = #"{"prompt":"床前明月光，","suffix":"举头望明月。","max_tokens":3,"greedy":true,"logprobs":1"#
        let answer = try desk.whole(.completions, body + "}")
        var options = GenerationOptions.filling
        options.maxTokens = 3
        let request = try model.file.request(
            toFill: BlankText(before: "床前明月光，", after: "举头望明月。"), options, longest: 3)
        var filling: Filling?
        try model.answer([request]) { filling = try? $1.get() }
        let blank = try #require(filling?.blanks.first)
        #expect(answer["choices"][0]["text"].text == blank.text)
        #expect(answer["choices"][0]["logprobs"]["token_logprobs"].numbers == blank.tokens.map(\.chosen.logprob))
        let chunks = try desk.answers(.completions, body + #","stream":true}"#).chunks
        #expect(chunks.compactMap(\.["choices"][0]["text"].text).joined() == blank.text)
        #expect(chunks.compactMap(\.["choices"][0]["finish_reason"].text).count == 1)
    }

    @Test func whoLeavesGetsNothingMore() throws {
        let cancelled = Cancellation()
        cancelled.cancel()
        for (cancellation, atFirst) in [(cancelled, false), (Cancellation(), true)] {
            do {
                _ = try desk.answers(
                    .completions, "{\(Self.json),\"max_tokens\":100,\"stream\":true,\"n\":3}", cancellation,
                    cancelsAtFirstChunk: atFirst)
                Issue.record("it came to its end")
            } catch let error as LeafError {
                #expect(error.kind == .cancelled)
            }
        }
    }
}
