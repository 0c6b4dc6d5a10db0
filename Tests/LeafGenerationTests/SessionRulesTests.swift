import Foundation
import LeafFormat
import LeafGeneration
import LeafSystem
import Testing

/// A head that names other rules is refused by its number, whatever else it holds.
@Suite("session rules") struct SessionRulesTests {
    private let path = FileManager.default.temporaryDirectory
        .appendingPathComponent("leafcutter-\(UUID().uuidString).session").path

    /// What a file of these fields and this prompt says.
    private func contents(_ fields: [(String, String)], prompt: [Int32] = [6, 7]) throws -> Session.Contents? {
        var allowance = HeapAllowance.unlimited
        return try contents(fields, prompt: prompt, &allowance)
    }

    private func contents(
        _ fields: [(String, String)], prompt: [Int32], _ allowance: inout HeapAllowance
    ) throws -> Session.Contents? {
        defer { try? FileManager.default.removeItem(atPath: path) }
        let output = try OutputFile(path: path)
        let writer = try SessionWriter(output)
        try writer.append(UInt32(fields.count))
        for (name, value) in fields {
            try writer.append(name)
            try writer.append(value)
        }
        try writer.append(prompt)
        try writer.append(UInt64(9))
        try writer.append(UInt32(3))
        try writer.finish()
        return try Session(path: path).contents(&allowance)
    }

    private func refusal(_ fields: [(String, String)]) throws -> LeafError? {
        do {
            _ = try contents(fields)
            return nil
        } catch { return error as? LeafError }
    }

    @Test func filesWithoutANumberAreOfTheFirstRules() throws {
        let expected = try contents([("software", "0.1.0"), ("model", "x")])
        #expect(expected?.promptIDs == [6, 7] && expected?.seed == 9 && expected?.tokens == 3)
        for fields in [[("rules", "1"), ("software", "7.0.0")], []] {
            let same = try contents(fields)
            #expect(same?.promptIDs == [6, 7] && same?.seed == 9 && same?.tokens == 3)
        }
    }

    @Test(arguments: ["2", "0", "-1", "", "1.0", "99999999999999999999", "\u{1B}[2J"])
    func otherRulesAreRefusedBeforeAnythingIsUnderstood(rules: String) throws {
        for fields in [
            [("rules", rules), ("software", "9.1.0")],
            [("a-new-field", "x"), ("software", "9.1.0"), ("another", ""), ("rules", rules)],
        ] {
            let error = try #require(try refusal(fields))
            #expect(error.kind == .badInput)
            #expect(error.description.contains("by rules ") && error.description.contains("saved by Leafcutter 9.1.0"))
            #expect(error.description == error.description.printable)
        }
    }

    /// The draw of random tokens has changed, and nothing else.
    @Test func sampledTextsHaveRulesOfTheirOwn() throws {
        for rules in [[], [("rules", "1")], [("rules", "3")]] {
            let fields = rules + [("software", "0.1.0"), ("decoding", "sampling")]
            let error = try #require(try refusal(fields))
            #expect(error.kind == .badInput && error.description.contains("samples by rules 2 alone"))
        }
        #expect(try refusal([("decoding", "sampling"), ("rules", "2")]) == nil)
        for decoding in ["--greedy", "--beams 3"] {
            #expect(try refusal([("decoding", decoding)]) == nil)
            let error = try #require(try refusal([("rules", "2"), ("decoding", decoding)]))
            #expect(error.description.contains("by rules 1 alone"))
        }
    }

    @Test func aFieldThatTheseRulesDoNotHaveIsDamage() throws {
        #expect(try refusal([("a-new-field", "x")])?.description.contains("is damaged") == true)
        #expect(try refusal([("rules", "1"), ("a-new-field", "x")])?.description.contains("is damaged") == true)
    }

    @Test func aHeadIsBounded() throws {
        let long = String(repeating: "x", count: 1 << 20)
        #expect(try refusal([("stop", long), ("delta", long)]) == nil)
        #expect(try refusal([("stop", long), ("delta", long), ("model", "x")]) != nil)
        #expect(try refusal([("stop", long + "x")]) != nil)
        #expect(try refusal(Array(repeating: ("stop", ""), count: 65)) != nil)
        #expect(try contents([], prompt: Array(repeating: 9, count: 1 << 20))?.promptIDs.count == 1 << 20)
        #expect(throws: LeafError.self) { try contents([], prompt: Array(repeating: 9, count: 1 << 20 + 1)) }
    }

    /// What is written into a head comes back out of it, whatever stands in it.
    @Test func textsComeBackFromTheirDescription() {
        for texts in [
            [], [""], ["，"], ["a", "b"], ["\"", "\\", "'"], ["\n\r\t\0", "\u{1}\u{7F}\u{85}"],
            ["e\u{301}", "\u{301}", "🇨", "🇳"],
            ["], [", "\", \""],
        ] {
            #expect(GenerationOptions.texts("\(texts)") == texts, "\(texts)")
        }
        for broken in ["", "[", "x", "[\"a\"", "[\"a]", "[\"\\", "[\"\\u{}\"]", "[\"a\" \"b\"]", "[] "] {
            #expect(GenerationOptions.texts(broken) == nil, "\(broken)")
        }
    }

    @Test func optionsAreTakenFromTheFileUnlessTheyWereGiven() throws {
        let saved = try #require(
            try contents([
                ("rules", "2"), ("decoding", "sampling"), ("temperature", "0.7"), ("top-k", "5"),
                ("repetition-window", "all"),
                ("logit-bias", "5=-1.5 7=2.0"), ("stop", #"["，", "\n"]"#), ("allow-empty", "true"), ("number", "3"),
                ("logprobs", "2"), ("compat", "transformers"), ("task", "1"),
            ]))
        var (options, samples) = (GenerationOptions(maxTokens: 1, topK: 9), 1)
        saved.complete(&options, samples: &samples, except: ["top-k"])
        var wanted = GenerationOptions(
            maxTokens: 3, temperature: 0.7, topK: 9, logitBias: [5: -1.5, 7: 2], allowEmpty: true, stop: ["，", "\n"],
            compatibility: .transformers, task: 1, logprobs: 2)
        #expect(options == wanted && samples == 3)
        // A length that was given stays, and so does what makes no sense.
        let broken = try #require(try contents([("temperature", "warm"), ("decoding", "--beams x"), ("stop", "[")]))
        (options, samples) = (GenerationOptions(maxTokens: 2), 1)
        broken.complete(&options, samples: &samples, except: ["max-tokens"])
        wanted = GenerationOptions(maxTokens: 2)
        #expect(options == wanted && samples == 1)
    }

    @Test func aFieldThatIsThereTwiceIsDamage() throws {
        #expect(try refusal([("stop", "a"), ("stop", "a")])?.description.contains("is damaged") == true)
    }

    /// Before they are read, so that a file cannot take the program past its budget.
    @Test func whatDoesNotFitTheMemoryIsNotRead() throws {
        let long = String(repeating: "x", count: 1 << 20)
        let ids = [Int32](repeating: 9, count: 1 << 20)
        let cases: [(fields: [(String, String)], ids: [Int32], what: String, least: Int)] = [
            ([], ids, "for its prompt", 4 << 20), ([("stop", long)], [6, 7], "for its options", 2 << 20),
            ([("stop", long), ("delta", long)], [6, 7], "for its options", 3 << 20), ([], [], "for its buffers", 1),
        ]
        for (fields, ids, what, least) in cases {
            var roomy = HeapAllowance.unlimited
            let read = try contents(fields, prompt: ids, &roomy)
            #expect(read?.promptIDs == ids)
            #expect(roomy.held == 0 && roomy.peak >= least && roomy.peak < least + 1 << 20)
            var enough = HeapAllowance(budget: roomy.peak, held: 0)
            let again = try contents(fields, prompt: ids, &enough)
            #expect(again == read)
            var tight = HeapAllowance(budget: what.contains("buffers") ? 1000 : roomy.peak - 1, held: 0)
            let error = #expect(throws: LeafError.self) { try contents(fields, prompt: ids, &tight) }
            #expect(error?.kind == .budget && error?.description.contains(what) == true, "\(what)")
            #expect(tight.held == 0)
        }
    }
}
