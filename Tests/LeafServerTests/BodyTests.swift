import Foundation
import GoldenSupport
import LeafFormat
import LeafGeneration
import LeafServer
import LeafSystem
import LeafWire
import Leafcutter
import Testing

/// Bodies of every kind: each gives a request or an error that says what is wrong.
@Suite struct BodyTests {
    private let desk: Desk

    init() throws { desk = try Desk.shared.get() }

    private func problem(_ route: AnswerDesk.Route, _ body: String) throws -> (status: Int, error: Object)? {
        do throws(ServedError) {
            _ = try desk.request(route, body)
            return nil
        } catch {
            return (error.status.rawValue, try Object(error.body)["error"])
        }
    }

    private static let message = #""messages":[{"role":"user","content":"a"}]"#

    private static let long = String(repeating: "春", count: Desk.context)

    private static let senseless: [(AnswerDesk.Route, String, String)] = [
        (.completions, "", "valid JSON"), (.completions, "[]", "an object"), (.completions, "{", "valid JSON"),
        (.completions, "{}", "'prompt'"), (.completions, #"{"prompt":"a"}x"#, "behind"),
        (.completions, #"{"prompt":[]}"#, "empty list"),
        (.completions, #"{"prompt":7}"#, "'prompt' is a number, where a text, or a list of texts or ids, is wanted"),
        (.completions, #"{"prompt":[true]}"#, "a text, a list of ids or an id is wanted"),
        (.completions, #"{"prompt":"a","stop":7}"#, "a text or a list of texts is wanted"),
        (.chat, #"{"messages":[{"role":"user","content":7}]}"#, "a text or a list is wanted"),
        (.score, #"{"id":[],"input":"a","options":["b"]}"#, "a text or a whole number is wanted"),
        (.completions, #"{"prompt":[6,"a"]}"#, "mixes"), (.completions, #"{"prompt":[30720]}"#, "30720"),
        (.completions, #"{"prompt":[-1]}"#, "-1"), (.completions, #"{"prompt":[99999999999]}"#, "99999999999"),
        (.completions, #"{"prompt":"a","max_tokens":"5"}"#, "'max_tokens'"),
        (.completions, #"{"prompt":"a","max_tokens":0}"#, "'echo'"),
        (.completions, #"{"prompt":"a","max_tokens":-1}"#, "-1"),
        (.completions, #"{"prompt":"a","max_tokens":1000}"#, "\(Desk.context)"),
        (.completions, "{\"prompt\":\"\(long)\"}", "\(Desk.context)"),
        (.completions, "{\"prompt\":\"\(long)\",\"echo\":true,\"logprobs\":1}", "\(Desk.context)"),
        (.completions, #"{"prompt":"a","n":0}"#, "'n'"), (.completions, #"{"prompt":"a","n":5}"#, "5 texts"),
        (.completions, #"{"prompt":"a","best_of":1,"n":2}"#, "'best_of'"),
        (.completions, #"{"prompt":"a","best_of":2,"stream":true}"#, "'stream'"),
        (.completions, #"{"prompt":"a","best_of":3,"beams":3}"#, "'beams'"),
        (.completions, #"{"prompt":"a","logprobs":21}"#, "21"),
        (.completions, #"{"prompt":"a","logprobs":true}"#, "'logprobs'"),
        (
            .completions,
            #"{"prompt":"a","stop":["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"]}"#,
            "'stop'"
        ),
        (.completions, #"{"prompt":"a","stop":""}"#, "stop"), (.completions, #"{"prompt":"a","top_p":2}"#, "top_p 2"),
        (.completions, #"{"prompt":"a","temperature":-1}"#, "temperature"),
        (.completions, #"{"prompt":"a","seed":-1}"#, "'seed'"),
        (.completions, #"{"prompt":"a","logit_bias":{"a":1}}"#, "logit_bias"),
        (.completions, #"{"prompt":"a","logit_bias":{"30720":1}}"#, "30720"),
        (.completions, #"{"prompt":"a","stream":"yes"}"#, "'stream'"),
        (.completions, #"{"prompt":"a","suffix":"b","n":2}"#, "'suffix'"),
        (.completions, #"{"prompt":[7],"suffix":"b"}"#, "'suffix'"),
        (.completions, #"{"prompt":"a","suffix":"b","stop":"c"}"#, "stop"),
        (.completions, #"{"prompt":"a","suffix":"b","echo":true,"logprobs":1}"#, "'suffix'"),
        (.completions, #"{"prompt":"a","delta":"/etc/passwd"}"#, "no adapter"),
        (.completions, #"{"prompt":"a","prompt_embedding":"x.pt"}"#, "no soft prompt"),
        (.completions, #"{"prompt":"a","session":"s"}"#, "'session'"),
        (.completions, #"{"prompt":"a","trace":"t"}"#, "'trace'"),
        (.completions, #"{"prompt":"a","draft_corpus":"t"}"#, "'draft_corpus'"),
        (.completions, #"{"prompt":"a","speculate":"off"}"#, "'speculate'"),
        (.completions, #"{"prompt":"a","functions":[{}]}"#, "'functions'"),
        (.completions, #"{"prompt":"a","task":32}"#, "32"), (.completions, #"{"prompt":"\ud800"}"#, "surrogate"),
        (.chat, "{}", "'messages'"), (.chat, #"{"messages":[]}"#, "empty list"),
        (.chat, #"{"messages":[{"role":"tool","content":"a"}]}"#, "'role'"),
        (.chat, #"{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#, "'type'"),
        (.chat, "{\(Self.message),\"tools\":[{}]}", "'tools'"),
        (.chat, "{\(Self.message),\"response_format\":{\"type\":\"json_object\"}}", "'type'"),
        (.chat, "{\(Self.message),\"echo\":true}", "'echo'"),
        (.chat, "{\(Self.message),\"top_logprobs\":2}", "'top_logprobs'"),
        (.embeddings, "{}", "'input'"), (.embeddings, #"{"input":"a","dimensions":8}"#, "'dimensions'"),
        (.embeddings, #"{"input":"a","encoding_format":"int8"}"#, "'encoding_format'"),
        (.embeddings, #"{"input":"a","stream":true}"#, "'stream'"),
        (.fill, "{}", "'text'"), (.fill, #"{"text":"a"}"#, "no blank"),
        (.fill, #"{"text":"a<blank:0>"}"#, "<blank:0"), (.fill, #"{"text":"a<blank:4000>"}"#, "\(Desk.context)"),
        (.fill, #"{"text":"a<blank>","max_blank":200}"#, "\(Desk.context)"),
        (.fill, #"{"text":"a<blank>","stop":"x"}"#, "stop"),
        (.fill, #"{"text":"a<blank>","session":"x"}"#, "'session'"),
        (.score, "{}", "missing"), (.score, #"{"input":"a","options":[]}"#, "'options'"),
        (.score, #"{"context":"a","target":""}"#, "target"),
        (.score, "{\"input\":\"\(long)\",\"options\":[\"a\"]}", "\(Desk.context)"),
        (.score, #"{"context":"a","target":"b","speculate":"off"}"#, "'speculate'"),
        (.tokenize, "{}", "'prompt'"), (.tokenize, #"{"prompt":[1]}"#, "'prompt'"),
        (.detokenize, "{}", "'tokens'"), (.detokenize, #"{"tokens":[30720]}"#, "30720"),
        (.detokenize, #"{"tokens":[-1]}"#, "-1"), (.detokenize, #"{"tokens":"a"}"#, "'tokens'"),
    ]

    @Test func whatMakesNoSenseIsNamed() throws {
        for (route, body, part) in Self.senseless {
            let found = try #require(try problem(route, body), "\(route) \(body.prefix(80))")
            #expect(found.status == 400)
            #expect(found.error["type"].text == "invalid_request_error")
            let sentence = found.error["message"].text ?? ""
            #expect(sentence.contains(part), "\(body.prefix(80)): \(sentence)")
            #expect(!sentence.contains("--") && !sentence.contains(".leaf"), "\(sentence)")
        }
        #expect(
            try problem(.completions, "{\"prompt\":\"\(Self.long)\"}")?.error["code"].text == "context_length_exceeded")
    }

    /// The exact name of the field, with those around it; nil where none is concerned, or several are.
    private static let concerned: [(AnswerDesk.Route, String, String?)] = [
        (.completions, "", nil), (.completions, "[]", nil), (.completions, #"{"prompt":"a"}x"#, nil),
        (.completions, "{}", "prompt"), (.completions, #"{"prompt":7}"#, "prompt"),
        (.completions, #"{"prompt":[30720]}"#, "prompt"),
        (.completions, #"{"prompt":"a","max_tokens":-1}"#, "max_tokens"),
        (.completions, #"{"prompt":"a","max_tokens":"5"}"#, "max_tokens"),
        (.completions, #"{"prompt":"a","top_p":2}"#, "top_p"), (.completions, #"{"prompt":"a","min_p":2}"#, "min_p"),
        (.completions, #"{"prompt":"a","no_repeat_ngram":-1}"#, "no_repeat_ngram"),
        (.completions, #"{"prompt":"a","frequency_penalty":1000}"#, "frequency_penalty"),
        (.completions, #"{"prompt":"a","logit_bias":{"x":1}}"#, "logit_bias"),
        (.completions, #"{"prompt":"a","logit_bias":{"5":"x"}}"#, "logit_bias.5"),
        (.completions, #"{"prompt":"a","logit_bias":{"30720":1}}"#, "logit_bias"),
        (.completions, #"{"prompt":"a","logprobs":21}"#, "logprobs"), (.completions, #"{"prompt":"a","n":0}"#, "n"),
        (.completions, #"{"prompt":"a","stop":""}"#, "stop"), (.completions, #"{"prompt":"a","eos_id":-1}"#, "eos_id"),
        (.completions, #"{"prompt":"a","delta":"x"}"#, "delta"), (.completions, #"{"prompt":"a","task":32}"#, "task"),
        (.completions, #"{"prompt":"a","session":"x"}"#, "session"),
        (.completions, #"{"prompt":"a","greedy":true,"beams":2}"#, nil),
        (.completions, #"{"prompt":"a","stream_options":{"include_usage":1}}"#, "stream_options.include_usage"),
        (.chat, "{}", "messages"), (.chat, #"{"messages":[{"role":"user"}]}"#, "messages.content"),
        (.chat, #"{"messages":[{"role":"tool","content":"a"}]}"#, "messages.role"),
        (.chat, "{\(message),\"response_format\":{\"type\":\"json_object\"}}", "response_format.type"),
        (.chat, "{\(message),\"max_completion_tokens\":0}", "max_completion_tokens"),
        (.chat, "{\(message),\"max_completion_tokens\":10000001}", "max_completion_tokens"),
        (.chat, "{\(message),\"max_tokens\":10000001}", "max_tokens"),
        (.chat, "{\(message),\"top_logprobs\":-5}", "top_logprobs"),
        (.completions, #"{"prompt":"a","best_of":2000}"#, "best_of"),
        (.completions, #"{"prompt":"a","best_of":200}"#, "best_of"), (.completions, #"{"prompt":"a","n":200}"#, "n"),
        (.score, #"{"context_ids":[],"target":"a"}"#, "context_ids"),
        (.score, #"{"context_ids":[30720],"target":"a"}"#, "context_ids"),
        (.score, #"{"context":"a","target":""}"#, "target"),
        (.score, #"{"context":"a","target_ids":[]}"#, "target_ids"),
        (.score, #"{"context":"a","target_ids":[30720]}"#, "target_ids"),
        (.score, #"{"input":"a","options":["b",""],"rule":"likelihood"}"#, "options"),
        (.chat, "{\(message),\"logprobs\":true,\"top_logprobs\":99}", "top_logprobs"),
        (.chat, "{\(message),\"echo\":true}", "echo"), (.embeddings, #"{"input":[30720]}"#, "input"),
        (.embeddings, #"{"input":[]}"#, "input"), (.fill, #"{"text":"a"}"#, "text"),
        (.fill, #"{"text":"a<blank:0>"}"#, "text"), (.fill, #"{"text":"a<blank>","max_blank":0}"#, "max_blank"),
        (.score, #"{"input":"a","options":[]}"#, "options"), (.score, #"{"context":"a"}"#, "target"),
        (.score, #"{"target":"a"}"#, nil), (.detokenize, #"{"tokens":[-1]}"#, "tokens"),
    ]

    @Test func theFieldThatIsConcernedIsTheParameter() throws {
        for (route, body, param) in Self.concerned {
            let found = try #require(try problem(route, body), "\(route) \(body)")
            #expect(found.error["param"].text == param, "\(route) \(body): \(found.error["message"].text ?? "")")
        }
    }

    @Test func fieldsThatNobodyKnowsAreNamed() throws {
        let names =
            #""store":true,"metadata":{"a":1},"x\r\ny: z":1,"春":2,"store":false,"user":"u","model":"m","n":null"#
        let cases: [(AnswerDesk.Route, String)] = [
            (.completions, #""prompt":"a""#), (.chat, Self.message), (.embeddings, #""input":"a""#),
            (.score, #""context":"a","target":"b""#), (.tokenize, #""prompt":"a""#), (.detokenize, #""tokens":[7]"#),
        ]
        for (route, field) in cases {
            let request = try desk.request(route, "{\(field),\(names)}")
            #expect(request.ignored.names == ["store", "metadata", "x%0D%0Ay%3A%20z", "%E6%98%A5"], "\(route)")
            #expect(request.ignored.header == request.ignored.names.joined(separator: ", "))
        }
        let many = (0..<1000).map { "\"a\($0)\":1" }.joined(separator: ",")
        let ignored = try desk.request(.completions, "{\"prompt\":\"a\",\(many)}").ignored
        #expect(ignored.names.count == 32 && ignored.header?.hasSuffix(", a31, +968") == true)
        // A header has some room.
        let long = (0..<100).map { "\"\($0)\(Self.long)\":1" }.joined(separator: ",")
        let header = try #require(try desk.request(.completions, "{\"prompt\":\"a\",\(long)}").ignored.header)
        #expect(header.utf8.count < 3000 && header.contains("%E2%80%A6, 1") && header.hasSuffix("+68"))
    }

    private static let demands = [
        #""tool_choice":"required""#, #""tool_choice":{"type":"function","function":{"name":"f"}}"#,
        #""tool_choice":"any""#, #""function_call":{"name":"f"}"#, #""tools":[{}]"#, #""functions":[{}]"#,
        #""response_format":{"type":"json_object"}"#, #""response_format":{"type":"json_schema","json_schema":{}}"#,
        #""modalities":["text","audio"]"#, #""web_search_options":{}"#, #""dimensions":8"#,
    ]

    /// A body for each route, without its end.
    private static let bodies: [(AnswerDesk.Route, String)] = [
        (.completions, #"{"prompt":"a""#), (.chat, "{" + message), (.embeddings, #"{"input":"a""#),
        (.fill, #"{"text":"a<blank:1>""#), (.score, #"{"context":"a","target":"b""#), (.tokenize, #"{"prompt":"a""#),
        (.detokenize, #"{"tokens":[7]"#),
    ]

    @Test func whatAClientDemandsAndCannotHaveIsRefused() throws {
        for demand in Self.demands {
            for (route, body) in Self.bodies {
                let found = try #require(try problem(route, "\(body),\(demand)}"), "\(route) \(demand)")
                #expect(found.status == 400 && found.error["param"].text != nil, "\(route) \(demand)")
            }
        }
    }

    @Test func whatAClientLeavesToTheModelIsPassed() throws {
        for choice in ["tool_choice", "function_call"] {
            for value in ["auto", "none"] {
                for (route, body) in Self.bodies {
                    let request = try desk.request(route, "\(body),\"\(choice)\":\"\(value)\"}")
                    #expect(request.ignored.names == [choice], "\(route)")
                }
            }
        }
        let rest = #""tools":[],"response_format":{"type":"text"},"modalities":["text"],"tool_choice":null"#
        for (route, body) in Self.bodies {
            #expect(try desk.request(route, "\(body),\(rest)}").ignored.header == nil, "\(route)")
        }
    }

    @Test func whatTakesTooMuchMemoryIsRefused() throws {
        var settings = Desk.settings
        settings.mostBytes = 1 << 20
        let small = AnswerDesk(desk.model.file, capacity: desk.model.capacity, settings)
        func request(_ body: String) throws(ServedError) -> ServedRequest {
            try small.request(.completions, body: Array(body.utf8)[...])
        }
        let modest = try request(#"{"prompt":"a","max_tokens":8,"logprobs":20}"#)
        #expect(modest.room.bytes > 0 && modest.room.bytes <= 1 << 20)
        for body in [
            #"{"prompt":"a","max_tokens":120,"logprobs":20,"n":4}"#,
            "{\"prompt\":[\((0..<200).map { "\"\($0)\"" }.joined(separator: ","))],\"max_tokens\":100}",
        ] {
            do throws(ServedError) {
                _ = try request(body)
                Issue.record("\(body.prefix(60)) was taken")
            } catch {
                #expect(error.status == .badRequest && error.body.line.contains("1.0 MiB"), "\(error.body.line)")
            }
        }
        let widest = AnswerDesk.widestRoom(context: Desk.context, sequences: Desk.sequences, bodyBytes: 1 << 10)
        let wide = try desk.request(.completions, #"{"prompt":"a","max_tokens":120,"logprobs":20,"n":4}"#)
        #expect(wide.room.bytes <= widest.bytes)
    }

    /// Bodies that were valid once and had bytes changed: never a crash, always a request or a sentence.
    @Test func changedBodiesGiveARequestOrASentence() throws {
        let bodies: [(AnswerDesk.Route, String)] = [
            (
                .completions,
                #"{"prompt":["春",[6,20]],"max_tokens":5,"n":2,"stop":["x"],"logprobs":2,"echo":true}"#
            ),
            (.completions, #"{"prompt":"春","suffix":"眠","stream":true,"stream_options":{"include_usage":true}}"#),
            (.chat, #"{"messages":[{"role":"user","content":[{"type":"text","text":"白"}]}],"tools":[],"beams":2}"#),
            (.embeddings, #"{"input":[[20,30]],"encoding_format":"base64","pool":"last"}"#),
            (.fill, #"{"text":"床前<blank:2>光<blank>","max_blank":3,"temperature":0.5,"id":1}"#),
            (.score, #"{"input":"春","options":["眠","晓"],"rule":"likelihood","normalize":"length"}"#),
            (.tokenize, #"{"prompt":"春\ud83e\udda5","add_special_tokens":true}"#),
            (.detokenize, #"{"tokens":[6,7,20]}"#),
        ]
        let words = [

            "null", "-1", "1e999", "[]", "{}", "\"\"", "[[[[", "99999999999999999999", "true", "\\ud800", "<blank:9>",
        ]
        var random = SeededGenerator()
        var taken = 0
        for round in 0..<4000 {
            let (route, body) = bodies[round % bodies.count]
            var bytes = Array(body.utf8)
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<5, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: place)
                case 2: bytes.insert(contentsOf: words.randomElement(using: &random)?.utf8 ?? "".utf8, at: place)
                case 3: bytes.removeSubrange(place..<min(bytes.count, place + 8))
                default: bytes.swapAt(place, Int.random(in: 0..<bytes.count, using: &random))
                }
                if bytes.isEmpty { bytes = [UInt8(ascii: "{")] }
            }
            do throws(ServedError) {
                let request = try desk.desk.request(route, body: bytes[...])
                #expect(request.room.bytes <= Desk.settings.mostBytes)
                taken += 1
            } catch {
                let sentence = error.body.line
                #expect(error.status == .badRequest, "seed \(random.seed): \(sentence)")
                #expect(sentence.hasPrefix(#"{"error":{"message":""#))
            }
        }
        #expect(taken > 0)
    }

    /// What stands for something else is there.
    @Test func aDocumentOfAllRoutesIsWhole() throws {
        let document = try Object(AnswerDesk.openAPI)
        #expect(document["openapi"].text == "3.1.0")
        let paths = document["paths"].fields
        for route in AnswerDesk.Route.allCases { #expect(paths[route.rawValue]?["post"].isMissing == false) }
        let parts = AnswerDesk.openAPI.components(separatedBy: ##""$ref":"##).dropFirst()
        #expect(parts.count > 50)
        for part in parts {
            let reference = part.split(separator: "\"")[part.hasPrefix(" ") ? 1 : 0]
            var found = document
            for name in reference.split(separator: "/").dropFirst() { found = found[String(name)] }
            #expect(!found.isMissing, "\(reference)")
        }
    }
}
