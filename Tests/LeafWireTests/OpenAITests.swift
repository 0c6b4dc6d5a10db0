import LeafFormat
import LeafGeneration
import LeafSystem
import LeafWire
import Leafcutter
import Testing

/// Bodies of OpenAI's routes as our requests.
@Suite struct OpenAITests {
    private func completion(_ json: String) throws(LeafError) -> CompletionInput {
        var reader = JSONReader(Array(json.utf8)[...])
        return try CompletionInput(&reader)
    }

    private func chat(_ json: String) throws(LeafError) -> ChatInput {
        var reader = JSONReader(Array(json.utf8)[...])
        return try ChatInput(&reader)
    }

    private func embeddings(_ json: String) throws(LeafError) -> EmbeddingsInput {
        var reader = JSONReader(Array(json.utf8)[...])
        return try EmbeddingsInput(&reader)
    }

    private func problem(_ body: () throws(LeafError) -> Void) -> String {
        do throws(LeafError) {
            try body()
            return ""
        } catch { return error.description }
    }

    @Test func promptsComeInFourForms() throws {
        let forms: [(String, [Prompt])] = [
            (#""春""#, [.text("春")]),
            (#"["春","夏"]"#, [.text("春"), .text("夏")]),
            ("[20,30]", [.ids([6, 20, 30])]),
            ("[6,20]", [.ids([6, 20])]),
            ("[[20],[6,30]]", [.ids([6, 20]), .ids([6, 30])]),
        ]
        for (json, prompts) in forms {
            #expect(try completion(#"{"prompt":\#(json)}"#).prompts == prompts)
            #expect(try embeddings(#"{"input":\#(json)}"#).texts == prompts)
        }
    }

    @Test func optionsAreOpenAIsAndOurs() throws {
        let input = try completion(
            #"""
            {"model":"m","prompt":"a","max_tokens":5,"temperature":0.5,"top_p":0.7,"n":2,"best_of":2,"stop":["x","y"],\#
            "seed":3,"logprobs":4,"logit_bias":{"9":-2},"frequency_penalty":0.1,"presence_penalty":0.2,"user":"u",\#
            "stream":false,"echo":null,"suffix":null,"unheard_of":[1],"top_k":8,"min_p":0.1,"repetition_penalty":1.1,\#
            "task":1,"segment":1,"delta":"d"}
            """#)
        var wanted = GenerationOptions(
            maxTokens: 5, temperature: 0.5, topP: 0.7, topK: 8, minP: 0.1, seed: 3, repetitionPenalty: 1.1,
            frequencyPenalty: 0.1, presencePenalty: 0.2, logitBias: [9: -2], stop: ["x", "y"], task: 1, segment: 1,
            logprobs: 4)
        wanted.delta = "d"
        #expect(input.options == wanted)
        #expect(input.samples == 2)
        #expect(input.model == "m")
        #expect(try completion(#"{"prompt":"a"}"#).options == GenerationOptions(maxTokens: 16))
        #expect(try completion(#"{"prompt":"a","temperature":0}"#).options.decoding == .greedy)
        #expect(try completion(#"{"prompt":"a","beams":3}"#).options.decoding == .beams(3))
    }

    @Test func messagesBecomeOneText() throws {
        let input = try chat(
            #"""
            {"messages":[{"role":"system","content":"题"},{"role":"user","name":"x","content":\#
            [{"type":"text","text":"白"},{"type":"text","text":"日"}]}],"max_completion_tokens":7,\#
            "logprobs":true,"top_logprobs":2,"tools":[],"response_format":{"type":"text"}}
            """#)
        #expect(input.prompt == "题\n白日")
        #expect(input.options.maxTokens == 7)
        #expect(input.options.logprobs == 2)
    }

    @Test func whatWouldChangeTheAnswerIsRefused() {
        let completions: [(String, String)] = [
            ("{}", "'prompt' is missing"), (#"{"prompt":[]}"#, "empty list"), (#"{"prompt":["a",6]}"#, "mixes"),
            (#"{"prompt":{}}"#, "'prompt'"), (#"{"prompt":"a","stream":true}"#, "'stream'"),
            (#"{"prompt":"a","echo":true}"#, "'echo'"), (#"{"prompt":"a","suffix":"b"}"#, "'suffix'"),
            (#"{"prompt":"a","n":1,"best_of":3}"#, "'best_of'"), (#"{"prompt":"a","logprobs":21}"#, "21"),
            (#"{"prompt":"a","greedy":true,"beams":2}"#, "not several"),
        ]
        for (json, part) in completions {
            #expect(problem { () throws(LeafError) in _ = try completion(json) }.contains(part), "\(json)")
        }
        let message = #""messages":[{"role":"user","content":"a"}]"#
        let chats: [(String, String)] = [
            ("{}", "'messages' is missing"), (#"{"messages":[]}"#, "empty list"),
            (#"{"messages":[{"role":"tool","content":"a"}]}"#, "'role'"),
            (#"{"messages":[{"role":"user"}]}"#, "'content'"),
            (#"{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}"#, "'type'"),
            (#"{\#(message),"tools":[{"type":"function"}]}"#, "'tools'"),
            (#"{\#(message),"response_format":{"type":"json_object"}}"#, "'type'"),
            (#"{\#(message),"top_logprobs":2}"#, "'top_logprobs'"),
        ]
        for (json, part) in chats {
            #expect(problem { () throws(LeafError) in _ = try chat(json) }.contains(part), "\(json)")
        }
        for (json, part) in [
            ("{}", "'input' is missing"), (#"{"input":"a","dimensions":8}"#, "'dimensions'"),
            (#"{"input":"a","encoding_format":"int8"}"#, "'encoding_format'"),
            (#"{"input":"a","pool":"none"}"#, "'pool'"),
        ] {
            #expect(problem { () throws(LeafError) in _ = try embeddings(json) }.contains(part), "\(json)")
        }
    }
}

/// The same bodies over HTTP, which has more.
@Suite struct ServerDoorTests {
    private func completion(_ json: String) throws(LeafError) -> CompletionInput {
        var reader = JSONReader(Array(json.utf8)[...])
        return try CompletionInput(&reader, at: .server)
    }

    @Test func theFormOfAnAnswerIsRead() throws {
        let input = try completion(
            #"""
            {"prompt":[20],"stream":true,"stream_options":{"include_usage":true,"x":1},"echo":true,"suffix":"",\#
            "return_token_ids":true,"model":"m","user":"u","store":false,"n":3}
            """#)
        let form = input.form
        #expect(form.isStream && form.includesUsage && form.echoesPrompt && form.returnsTokenIDs)
        #expect(form.suffix == nil)
        #expect(form.ignored.names == ["store"])
        #expect(input.samples == 3 && input.choices == 3 && !input.isEmpty)
        #expect(input.texts.map(\.hidesBegin) == [true])
        #expect(try completion(#"{"prompt":[6,20]}"#).texts.map(\.hidesBegin) == [false])
    }

    @Test func aSuffixTakesWhatWasTrainedOnBlanks() throws {
        let filling = GenerationOptions.filling
        let suffix = try completion(#"{"prompt":"a","suffix":"b"}"#).options
        #expect(suffix.task == filling.task && suffix.segment == filling.segment)
        let chosen = try completion(#"{"prompt":"a","suffix":"b","task":2,"segment":2}"#).options
        #expect(chosen.task == 2 && chosen.segment == 2)
    }

    @Test func theBestOfSomeAreChosen() throws {
        let input = try completion(#"{"prompt":"a","n":2,"best_of":5}"#)
        #expect(input.samples == 5 && input.choices == 2)
        let nothing = try completion(#"{"prompt":"a","max_tokens":0,"echo":true}"#)
        #expect(nothing.isEmpty)
        #expect(throws: LeafError.self) { try completion(#"{"prompt":"a","max_tokens":0}"#) }
    }
}
