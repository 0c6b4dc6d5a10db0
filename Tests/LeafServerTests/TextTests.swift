import Foundation
import GoldenSupport
import LeafFormat
import LeafGeneration
import LeafServer
import LeafSystem
import LeafTokenizer
import LeafWire
import Leafcutter
import Testing

/// Vectors, blanks, scores and ids over HTTP.
@Suite struct TextTests {
    private let desk: Desk
    private var model: Model { desk.model }

    init() throws { desk = try Desk.shared.get() }

    @Test func vectorsComeAsNumbersAndAsBytes() throws {
        let texts = ["春眠不觉晓", "白日依山尽", "花落知多少", "黄河入海流", "更上一层楼"]
        let list = texts.map { "\"\($0)\"" }.joined(separator: ",")
        let numbers = try desk.whole(.embeddings, "{\"input\":[\(list)],\"model\":\"text-embedding-3-small\"}")
        let bytes = try desk.whole(.embeddings, "{\"input\":[\(list)],\"encoding_format\":\"base64\"}")
        #expect(numbers["model"].text == "text-embedding-3-small" && bytes["model"].text == "cpm-ant")
        var tokens = 0
        for (number, text) in texts.enumerated() {
            let rows = try model.file.rows(of: .text(text), GenerationOptions())
            tokens += rows.ids.count
            var vector: [Float] = []
            try model.answer([EmbeddingRequest(text: rows)]) { vector = (try? $1.get()) ?? [] }
            let found = numbers["data"][number]["embedding"].numbers.map { Float($0 ?? .nan) }
            #expect(found == vector)
            let data = try #require(Data(base64Encoded: bytes["data"][number]["embedding"].text ?? ""))
            var decoded: [Float] = []
            for begin in stride(from: 0, to: data.count, by: 4) {
                let bits = data[begin..<begin + 4].reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
                decoded.append(Float(bitPattern: bits))
            }
            #expect(decoded == vector)
        }
        #expect(numbers["usage"]["prompt_tokens"].integer == tokens)
    }

    @Test func blanksAreFilledAsTheModelFillsThem() throws {
        let answer = try desk.whole(.fill, #"{"id":"a","text":"床前<blank:2>光，疑是<blank>上霜。","max_blank":2,"model":"m"}"#)
        let wanted = try model.fill("床前<blank:2>光，疑是<blank>上霜。", longest: 2)
        #expect(answer["id"].text == "a" && answer["text"].text == wanted.text)
        #expect(answer["ids"].ids == wanted.filling.ids)
        #expect(answer["blanks"].list.map(\.["logprob"].number) == wanted.filling.blanks.map(\.logprob))
    }

    @Test func scoresAreThoseOfTheModel() throws {
        let answers = try desk.answers(.score, #"{"context":"春眠","target":"不觉晓","note":1}"#)
        #expect(answers.request.ignored.names == ["note"])
        let tokenizer = try #require(model.tokenizer)
        let request = ScoreRequest(
            context: try model.file.rows(of: .text("春眠"), GenerationOptions()), target: tokenizer.encode("不觉晓"))
        var scores: [TokenScore] = []
        try model.answer([request]) { scores = (try? $1.get()) ?? [] }
        let whole = try #require(answers.whole)
        #expect(whole["token_logprobs"].numbers == scores.map(\.logprob))
        #expect(whole["ranks"].list.map(\.integer) == scores.map(\.rank))
        // In parts, where the model has few rows of logits.
        let long = #"{"context":"春眠","target":"不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。"}"#
        #expect(try Desk.narrow.get().whole(.score, long) == desk.whole(.score, long))
        let choice = try desk.whole(
            .score, #"{"id":3,"input":"春眠不觉","options":["晓","水","山","火","土","木"],"rule":"likelihood"}"#)
        #expect(choice["scores"].list.count == 6 && choice["id"].integer == 3)
        let values = choice["scores"].numbers.map { $0 ?? -.infinity }
        #expect(values.firstIndex(of: values.max() ?? 0) == choice["choice"].integer)
    }

    @Test func whatTheVocabularyLacksIsCountedOverAllTexts() throws {
        let (crab, wolf) = ("\u{1F980}", "\u{1F43A}")
        let bodies: [(AnswerDesk.Route, String, Int)] = [
            (.completions, #"{"prompt":["春","眠\#(crab)","\#(crab)\#(wolf)"],"stream":true}"#, 3),
            (.completions, #"{"prompt":"春\#(crab)","suffix":"\#(wolf)"}"#, 2),
            (.completions, #"{"prompt":"春\#(crab)","echo":true,"max_tokens":0,"logprobs":1}"#, 1),
            (.completions, #"{"prompt":[6,1]}"#, 0), (.completions, #"{"prompt":"春"}"#, 0),
            (.chat, #"{"messages":[{"role":"user","content":"\#(crab)"},{"role":"user","content":"\#(wolf)"}]}"#, 2),
            (.embeddings, #"{"input":["\#(crab)","春\#(crab)"]}"#, 2), (.fill, #"{"text":"\#(wolf)<blank:1>"}"#, 1),
            (.score, #"{"input":"\#(wolf)","options":["春","\#(crab)"],"rule":"likelihood"}"#, 2),
        ]
        for (route, body, count) in bodies {
            let request = try desk.desk.request(route, body: Array(body.utf8)[...])
            #expect(request.unknown == count, "\(body)")
        }
        #expect(try desk.whole(.fill, bodies[7].1)["unknown"].list.map(\.text) == [wolf])
        #expect(try desk.whole(.score, bodies[8].1)["unknown"].list.map(\.text) == [wolf, crab])
    }

    @Test func idsGoThereAndBack() throws {
        let tokenizer = try #require(model.tokenizer)
        for text in ["", "春眠不觉晓，处处闻啼鸟。", "a b\nc <s>"] {
            let quoted = JSON.string(text).line
            let ids = tokenizer.encode(text)
            for field in ["prompt", "content"] {
                let found = try desk.whole(.tokenize, "{\"\(field)\":\(quoted),\"add_special_tokens\":false}")
                #expect(found["tokens"].ids == ids && found["count"].integer == ids.count)
            }
            let begun = try desk.whole(.tokenize, "{\"prompt\":\(quoted),\"add_special_tokens\":true}")
            #expect(begun["tokens"].ids == [6] + ids)
            let back = try desk.whole(.detokenize, "{\"tokens\":\(ids)}")
            let text = try tokenizer.decode(ids)
            #expect(back["prompt"].text == text && back["content"].text == text)
        }
        // So a client learns the ids of special tokens.
        let info = try Object(desk.desk.tokenizerInfo)
        for (name, id) in [("bos_token", 6), ("eos_token", 7), ("pad_token", 0)] as [(String, Int32)] {
            let quoted = JSON.string(try #require(info[name].text)).line
            #expect(try desk.whole(.tokenize, "{\"prompt\":\(quoted)}")["tokens"].ids == [id])
        }
    }

    /// Clients that cut a text to the length that they are told, or ask for what is left of it, are answered.
    @Test func aTextOfTheLengthThatIsToldFits() throws {
        let length = try #require(Object(desk.desk.tokenizerInfo)["model_max_length"].integer)
        #expect(try desk.whole(.tokenize, #"{"prompt":""}"#)["max_model_len"].integer == length)
        let ids = Array(repeating: Int32(8), count: length - 1)
        let scored = try desk.whole(
            .completions, #"{"prompt":\#([6] + ids),"echo":true,"logprobs":0,"max_tokens":0}"#)
        #expect(scored["usage"]["prompt_tokens"].integer == length)
        let written = try desk.whole(
            .completions, #"{"prompt":"春","max_tokens":\#(length - 2),"logit_bias":{"7":-100},"seed":1}"#)
        #expect(written["usage"]["total_tokens"].integer == length)
        #expect(throws: ServedError.self) {
            try desk.request(.completions, #"{"prompt":"春","max_tokens":\#(length + 2)}"#)
        }
    }

    @Test func theModelIsListedByItsName() throws {
        let models = try Object(desk.desk.models)
        #expect(models["data"].list.map(\.["id"].text) == ["cpm-ant"])
        #expect(try Object(desk.desk.model("cpm-ant")) == models["data"][0] || models["data"].list.count == 1)
        #expect(throws: ServedError.self) { try desk.desk.model("gpt-4") }
    }
}
