import Foundation
import GoldenSupport
import Testing

/// The parts of `generate --json` and `plan --json` that a promise is made of.
struct Report: Decodable {
    struct Memory: Decodable {
        let budget: Int
        let planned: Int
        let peak: Int
    }
    struct IO: Decodable {
        let mode: String
        let bytesWritten: Int
    }
    let text: String
    let memory: Memory
    let io: IO
}

struct PlanReport: Decodable {
    struct Parts: Decodable {
        let runtime: Int
        let tokenizer: Int
    }
    let parts: Parts
}

@Suite("The promise", .serialized, .enabled(if: Program.isBuilt, "LEAFCUTTER_BIN names no program; make test sets it"))
struct BudgetTests {
    static let prompt = "《登鹳雀楼》王之涣\n"
    static let poem = "白日依山尽，黄河入海流。\n欲穷千里目，更上一层楼。"
    static let options = ["--greedy", "--max-tokens", "40"]

    let directory: TemporaryDirectory
    let model: String
    let minimum: Int

    init() throws {
        directory = try TemporaryDirectory()
        model = directory.path("demo.leaf")
        let converted = try Program.run(["convert", Golden.demoModel.path, model, "--quiet"])
        try #require(converted.status == 0, "\(converted.errors)")
        let model = model
        minimum = try Program.smallestBudget { budget in
            try Program.run(["generate", model, Self.prompt, "--memory", "\(budget)"] + Self.options)
        }
    }

    static func decode<Value: Decodable>(_ type: Value.Type, _ data: Data) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: data)
    }

    func generate(_ budget: Int, _ more: [String] = [], under limit: Int? = nil) throws -> (Report, Program.Outcome) {
        let outcome = try Program.run(
            ["generate", model, Self.prompt, "--memory", "\(budget)", "--json"] + Self.options + more, under: limit)
        try #require(outcome.status == 0, "budget \(budget) \(more): \(outcome.errors)")
        return (try Self.decode(Report.self, outcome.output), outcome)
    }

    @Test func everyBudgetReadingModeAndThreadCountGivesThePoemWithinIt() throws {
        for budget in [minimum, minimum + (1 << 20), 2 * minimum, 1 << 30] {
            for mode in ["map", "direct", "buffered", "auto"] {
                for threads in ["1", "2"] {
                    let (report, _) = try generate(budget, ["--io", mode, "--threads", threads])
                    #expect(report.text == Self.poem, "\(budget) \(mode) \(threads)")
                    #expect(report.memory.peak <= budget, "\(budget) \(mode) \(threads)")
                    #expect(report.memory.planned <= budget)
                    #expect(report.io.bytesWritten == 0)
                    if mode != "auto" { #expect(report.io.mode == mode) }
                }
            }
        }
    }

    /// A plan's refusal names a number of whole MiB that works, and no smaller one does. Eight texts need more than
    /// what is read before there is a plan.
    @Test func theRefusalNamesTheSmallestBudget() throws {
        func run(_ budget: Int) throws -> Program.Outcome {
            try Program.run(["generate", model, Self.prompt, "-n", "8", "--memory", "\(budget)"] + Self.options)
        }
        let refused = try run(minimum)
        #expect(refused.status == 3 && refused.errors.split(separator: "\n").count == 1, "\(refused.errors)")
        let advice = try #require(refused.errors.split(separator: "--memory ").last?.prefix { $0.isNumber })
        let named = try #require(Int(advice)) << 20
        #expect(named > minimum)
        #expect(try run(named).status == 0)
        let less = try run(named - (1 << 20))
        #expect(less.status == 3 && less.errors.contains("--memory \(advice)MiB"), "\(less.errors)")
    }

    /// Everything but weights, KV cache and row buffers.
    @Test func theRuntimesOwnShareIsUnder40MiB() throws {
        let plan = try Program.run(["plan", model, "--memory", "1GiB", "--disk-rate", "1GB", "--json"])
        let parts = try Self.decode(PlanReport.self, plan.output).parts
        #expect(parts.runtime + parts.tokenizer < 40 << 20)
    }

    @Test(.enabled(if: Program.hasCgroups, "memory cgroups cannot be made here"))
    func aCgroupOfTheBudgetsSizeSuffices() throws {
        for budget in [minimum, 2 * minimum] {
            for mode in ["map", "direct", "buffered"] {
                let (report, outcome) = try generate(budget, ["--io", mode], under: budget)
                #expect(report.text == Self.poem)
                #expect(outcome.peak <= budget, "\(mode): \(outcome.errors)")
            }
        }
    }

    /// Past the page cache nothing presses against a limit 8 MiB above the budget.
    @Test(.enabled(if: Program.hasCgroups, "memory cgroups cannot be made here"))
    func directReadingNeverHitsTheLimit() throws {
        for budget in [minimum, 2 * minimum] {
            let (_, outcome) = try generate(budget, ["--io", "direct"], under: budget + (8 << 20))
            #expect(outcome.limitHits == 0, "\(outcome.errors)")
        }
    }

    /// Whatever is written and read back beside it.
    @Test func aSessionIsKeptWithinTheBudget() throws {
        let session = directory.path("a.session")
        for budget in [minimum + (1 << 20), 2 * minimum] {
            for tokens in ["9", "12", "40"] {
                let (report, _) = try generate(
                    budget, ["--max-tokens", tokens, "--session", session, "--session-every", "3"])
                #expect(report.memory.peak <= budget)
                #expect(report.memory.planned <= budget)
                if tokens == "40" { #expect(report.text == Self.poem) }
            }
            try FileManager.default.removeItem(atPath: session)
        }
    }
}
