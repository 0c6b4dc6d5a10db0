import LeafFormat
import LeafGeneration
import LeafSystem
import LeafWire
import Leafcutter
import Testing

/// From bytes to typed requests.
@Suite struct RequestTests {
    private func request(_ kind: RequestKind?, _ json: String) throws(LeafError) -> WireRequest {
        try WireRequest(kind, json: Array(json.utf8)[...])
    }

    private func problem(_ kind: RequestKind?, _ json: String) -> String {
        do throws(LeafError) {
            _ = try request(kind, json)
            return ""
        } catch { return error.description }
    }

    @Test func everyKindIsReadFromItsObject() throws {
        let cases: [(RequestKind, String)] = [
            (.generate, #""prompt":"春","max_tokens":3,"stop":"，""#),
            (.generate, #""input_ids":[6,20],"beams":3,"n":2,"logit_bias":{"5":-1.5}"#),
            (.fill, #""text":"床前<blank:2>光","max_blank":3,"temperature":0.5"#),
            (.score, #""context":"春","target":"眠","rule":"rank","task":1"#),
            (.score, #""input":"春","options":["眠"],"target":0,"anything":{"else":[]}"#),
            (.perplexity, #""text":"春眠","context":64,"stride":16,"prefix":2"#),
            (.embed, #""text":"春","pool":"last","normalize":true"#),
            (.score, #""input":"春","options":["眠","晓"],"rule":"likelihood","normalize":"length""#),
            (.logits, #""input_ids":[6,7],"segment":2"#),
            (.tokenize, #""text":"春","words":true"#),
            (.detokenize, #""ids":[6,7]"#),
        ]
        for (kind, fields) in cases {
            let id = kind == .logits ? #""a""# : "7"
            for json in [
                "{\"id\":\(id),\(fields)}", "{\(fields),\"id\":\(id),\"kind\":\"\(kind.rawValue)\",\"task\":null}",
            ]
            where kind != .logits || !json.contains("null") {
                let found = try request(kind, json)
                #expect(found.id == (kind == .logits ? .text("a") : .number(7)), "\(json)")
            }
            let named = try request(nil, "{\"id\":\(id),\"kind\":\"\(kind.rawValue)\",\(fields)}")
            #expect("\(named)".hasPrefix(kind.rawValue))
        }
    }

    @Test func optionsAreTakenAndDefaultsKept() throws {
        let defaults = GenerateInput.Defaults(options: GenerationOptions(maxTokens: 9, topP: 0.5), samples: 4)
        let json = #"{"prompt":"春","top_k":3,"seed":18446744073709551615,"stop":["a","b"],"greedy":true,"compat":null}"#
        let input = try GenerateInput(json: Array(json.utf8)[...], defaults)
        #expect(input.samples == 4)
        var wanted = defaults.options
        wanted.topK = 3
        wanted.seed = .max
        wanted.stop = ["a", "b"]
        wanted.decoding = .greedy
        #expect(input.options == wanted)
        #expect(input.id == nil)
    }

    @Test func aTemperatureOfNothingIsGreedy() throws {
        let input = try GenerateInput(json: Array(#"{"prompt":"春","temperature":0}"#.utf8)[...])
        #expect(input.options.decoding == .greedy && input.options.temperature == 0.9)
        let beams = try GenerateInput(json: Array(#"{"prompt":"春","temperature":0,"beams":2}"#.utf8)[...])
        #expect(beams.options.decoding == .beams(2))
        let fill = try FillInput(json: Array(#"{"text":"春<blank>","temperature":0}"#.utf8)[...])
        #expect(fill.options.decoding == .greedy)
    }

    @Test func whatMakesNoSenseIsNamed() {
        let cases: [(RequestKind?, String, String)] = [
            (.generate, #"{"prompt":"a","max_token":3}"#, "did you mean 'max_tokens'?"),
            (.generate, #"{"prompt":"a","zzzzzzzz":3}"#, "there is no option 'zzzzzzzz'"),
            (.generate, #"{"prompt":"a","max_tokens":"3"}"#, "'max_tokens' is a text"),
            (.generate, #"{"prompt":"a","input_ids":[6]}"#, "not both"),
            (.generate, #"{"prompt":"a","temperature":1e-300}"#, "'temperature' is 1e-300, which is too near 0"),
            (.generate, #"{"prompt":"a","top_p":1e-46}"#, "'top_p' is 1e-46, which is too near 0"),
            (.generate, #"{"prompt":"a","max_t\u0000okens":3}"#, #"no option 'max_t\u{0}okens'"#),
            (.generate, #"{"id":1.5,"prompt":"a"}"#, "'id' is 1.5"),
            (.generate, #"{"prompt":"a","kind":"fill"}"#, "'kind' is 'fill', where generate is answered"),
            (.generate, "[1]", "right kind"),
            (.fill, #"{"text":"a<blank>","max_tokens":3}"#, "no option 'max_tokens'"),
            (.fill, #"{"text":"a<blank>","greedy":true,"sample":true}"#, "not several"),
            (.embed, #"{"text":"a","pool":"max"}"#, "not mean, last or none"),
            (.embed, #"{"text":"a","normalize":"yes"}"#, "'normalize' is a text"),
            (.score, #"{"rule":"best"}"#, "not choice, likelihood or rank"),
            (.score, #"{"normalize":"tokens"}"#, "'normalize' is 'tokens', not length"),
            (.detokenize, #"{}"#, "'ids' is missing"),
            (nil, #"{"prompt":"a"}"#, "'kind' is missing"),
            (nil, #"{"kind":"generat"}"#, "did you mean 'generate'?"),
        ]
        for (kind, json, part) in cases {
            #expect(problem(kind, json).contains(part), "\(json): \(problem(kind, json))")
        }
        #expect(problem(.tokenize, "{\"text\":\"\(String(repeating: "a", count: 1 << 20))\"}").contains("more than"))
    }

    @Test func onlyTheLastRowOfLogitsIsAskedForByTrueOrFalse() throws {
        func wishes(_ kind: RequestKind?, _ json: String) throws(LeafError) -> RequestWishes {
            try RequestWishes(kind, json: Array(json.utf8)[...])
        }
        #expect(try wishes(.logits, #"{"last":true}"#).last && !wishes(.logits, #"{"last":false}"#).last)
        for value in ["-1", "9223372036854775807", "\"yes\"", "[]"] {
            #expect(throws: LeafError.self) { try wishes(.logits, "{\"last\":\(value)}") }
            // Data files have fields of any name.
            #expect(try !wishes(.score, "{\"last\":\(value)}").last)
        }
    }

    @Test func aShapeTakesValuesOfItsKindsAlone() {
        func fits(_ shape: ValueShape, _ json: String) -> Bool {
            var reader = JSONReader(Array(json.utf8)[...])
            do throws(LeafError) {
                try shape.check(&reader)
                try reader.end()
                return true
            } catch { return false }
        }
        let shape = ValueShape.object(
            ["ids": .list(.count), "rows": .list(.list(.number))],
            possible: ["text": .orNull(.text), "top": .table(.number)])
        for json in [
            #"{"ids":[],"rows":[]}"#, #"{"rows":[[1.5,null],[]],"ids":[0,18446744073709551615],"text":null}"#,
            #"{"ids":[1],"rows":[],"text":"","top":{"":1,"":2}}"#,
        ] { #expect(fits(shape, json), "\(json)") }
        for json in [
            "{}", "[]", #"{"ids":[]}"#, #"{"ids":[-1],"rows":[]}"#, #"{"ids":[null],"rows":[]}"#,
            #"{"ids":"no","rows":[]}"#, #"{"ids":[],"rows":[1]}"#, #"{"ids":[],"rows":[[true]]}"#,
            #"{"ids":[],"rows":[],"text":5}"#, #"{"ids":[],"rows":[],"top":[]}"#, #"{"ids":[],"rows":[],"more":1}"#,
            #"{"ids":[],"ids":[],"rows":[]}"#, #"{"ids":[],"rows":[]}x"#,
        ] { #expect(!fits(shape, json), "\(json)") }
    }

    @Test func theIDOfABrokenRequestIsFound() {
        func id(_ json: String) -> String { RequestID.json(rescuedFrom: Array(json.utf8)[...], line: 7).line }
        #expect(id(#"{"id":5,"prompt":"a","max_tokens":"x"}"#) == "5")
        #expect(id(#"{"id":"a","prompt":"\ud83d"}"#) == #""a""#)
        #expect(id(#"{"prompt":7}"#) == "7")
        for json in [#"{"prompt":"#, "nonsense", #"{"prompt":7}x"#] { #expect(id(json) == "null", "\(json)") }
    }

    @Test func errorsHaveACodeAndASentence() {
        let error = LeafError(.budget, "it is \"large\"")
        #expect(error.json(line: 3).line == #"{"code":"budget","message":"it is \"large\"","line":3}"#)
        #expect(error.answer(id: .integer(1)).line == #"{"id":1,"error":"it is \"large\""}"#)
    }
}

/// Windows over a text that comes in portions.
@Suite struct TextWindowsTests {
    /// As the paper's recipe has it, with the whole text at hand.
    private func plain(_ ids: [Int32], context: Int, prefix: Int, stride: Int) -> [TextWindows.Window] {
        var windows: [TextWindows.Window] = []
        var (start, scoredUpTo) = (0, prefix - 1)
        while scoredUpTo < ids.count {
            let window = ids[start..<min(start + context - 1, ids.count)]
            let before: [Int32] = [6] + Array(window.prefix(prefix - 1))
            let target: [Int32] = Array(window.dropFirst(prefix - 1))
            let alreadyScored: Int = scoredUpTo - (start + prefix - 1)
            windows.append(.init(prefix: before, target: target, alreadyScored: alreadyScored))
            scoredUpTo = window.endIndex
            start += stride
        }
        return windows
    }

    @Test func portionsMakeNoDifference() throws {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            let context = Int.random(in: 2...12, using: &generator)
            let prefix = Int.random(in: 1..<context, using: &generator)
            let stride = Int.random(in: 1...context - prefix, using: &generator)
            let ids = (0..<Int.random(in: prefix...60, using: &generator)).map { Int32($0) }
            var windows = try TextWindows(context: context, prefix: prefix, stride: stride)
            var found: [TextWindows.Window] = []
            var rest = ids[...]
            while !rest.isEmpty {
                let portion = rest.prefix(Int.random(in: 1...20, using: &generator))
                found += windows.append(Array(portion))
                rest = rest.dropFirst(portion.count)
            }
            found += try windows.finish()
            #expect(
                found == plain(ids, context: context, prefix: prefix, stride: stride),
                "\(context) \(prefix) \(stride) \(ids.count)")
        }
    }

    @Test func numbersThatMakeNoSenseAreRefused() {
        let cases: [(Int, Int, Int?)] = [
            (1, 1, nil), (.min, 1, nil), (.max, 1, nil), (8, 0, nil), (8, 8, nil), (8, .max, nil), (8, 1, 0),
            (8, 1, .max),
            (8, 1, .min),
        ]
        for (context, prefix, stride) in cases {
            #expect(throws: LeafError.self) { try TextWindows(context: context, prefix: prefix, stride: stride) }
        }
        #expect(throws: LeafError.self) {
            var windows = try TextWindows(context: 8, prefix: 3, stride: nil)
            _ = windows.append([1, 2])
            _ = try windows.finish()
        }
    }
}
