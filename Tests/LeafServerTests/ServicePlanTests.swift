import Foundation
import GoldenSupport
import LeafImport
import LeafServer
import LeafSystem
import Leafcutter
import Testing

/// What a server makes of its budget.
@Suite struct ServicePlanTests {
    /// What a server is asked for.
    private struct Wish: CustomTestStringConvertible {
        var sequences = 8
        var context = 512
        var bodyBytes = 1 << 20
        var isEncrypted = false
        var keepsFiles = false
        var connections = 256

        var testDescription: String { "\(self)" }

        func plan(_ file: ModelFile, _ budget: Int) throws(LeafError) -> ServicePlan {
            var limits = HTTPLimits()
            (limits.bodyBytes, limits.isEncrypted, limits.connections) = (bodyBytes, isEncrypted, connections)
            limits.poolBytes = max(limits.poolBytes, 2 * (bodyBytes + limits.headBytes))
            return try ServicePlan(
                file, ModelOptions(memory: .bytes(budget), threads: 2), context: context, sequences: sequences, limits,
                files: keepsFiles ? FileStore.Limits() : nil)
        }

        /// Nil where the budget is too small.
        func texts(_ file: ModelFile, _ budget: Int) throws(LeafError) -> Int? {
            do throws(LeafError) {
                return try plan(file, budget).capacity.sequences
            } catch {
                guard error.kind == .budget else { throw error }
                return nil
            }
        }
    }

    private static let wishes = [
        Wish(), Wish(sequences: 2, context: 128), Wish(sequences: 2), Wish(sequences: 1),
        Wish(sequences: 3, context: 64, bodyBytes: 16 << 20), Wish(sequences: 20, context: 90, isEncrypted: true),
        Wish(sequences: 4, context: 700, keepsFiles: true),
    ]

    @Test(arguments: wishes) private func textsNeverFallAsTheBudgetGrows(wish: Wish) throws {
        let file = try Desk.shared.get().model.file
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        // An eighth of 48 MiB is the least for clients.
        let budgets = (0..<120).map { _ in Int.random(in: 40 << 20...200 << 20, using: &random) }
        let steps = stride(from: 40 << 20, through: 80 << 20, by: 1 << 20)
        var before = 0
        for budget in (budgets + steps + [4 << 30]).sorted() {
            let count = try wish.texts(file, budget) ?? 0
            #expect(count >= before, "\(wish): \(count) texts in \(budget) bytes, \(before) in fewer; seed \(seed)")
            before = count
        }
        #expect(before == wish.sequences)
    }

    /// The smallest budget is named whatever was given: it serves a text, and a mebibyte less does not.
    @Test(arguments: wishes) private func theBudgetThatARefusalNamesServes(wish: Wish) throws {
        let file = try Desk.shared.get().model.file
        for given in [1, 30 << 20, 44 << 20] {
            let refusal = #expect(throws: LeafError.self) { try wish.plan(file, given) }
            guard case .memory(let named)? = refusal?.advice else {
                Issue.record("\(String(describing: refusal))")
                continue
            }
            #expect(try wish.texts(file, named) == 1)
            #expect(try wish.texts(file, named - 1 << 20) == nil)
        }
    }

    @Test(arguments: wishes) private func moreConnectionsOrLongerBodiesNeverNeedLessMemory(wish: Wish) throws {
        let file = try Desk.shared.get().model.file
        func least(_ wish: Wish) throws -> Int {
            let refusal = #expect(throws: LeafError.self) { try wish.plan(file, 1) }
            guard case .memory(let named)? = refusal?.advice else { return 0 }
            return named
        }
        func check(_ name: String, _ wishes: [Wish]) throws {
            let needs = try wishes.map(least)
            #expect(needs.allSatisfy { $0 > 0 } && needs == needs.sorted(), "\(name): \(needs)")
        }
        func with<Value>(_ field: WritableKeyPath<Wish, Value>, _ values: [Value]) -> [Wish] {
            values.map { value in
                var wish = wish
                wish[keyPath: field] = value
                return wish
            }
        }
        try check("connections", with(\.connections, [4, 5, 8, 9, 16, 30, 64, 100, 256, 10_000]))
        try check("bodies", with(\.bodyBytes, [1 << 10, 1 << 16, 1 << 20, 3 << 20, 64 << 20]))
    }

    @Test func connectionsWithinBytesTakeNoLessWhereMoreAreAskedFor() {
        let seed = UInt64.random(in: .min ... .max)
        var random = SeededGenerator(seed: seed)
        for _ in 0..<300 {
            var limits = HTTPLimits()
            limits.isEncrypted = Bool.random(using: &random)
            limits.bodyBytes = Int.random(in: 1 << 10...4 << 20, using: &random)
            limits.poolBytes = max(limits.poolBytes, 2 * (limits.bodyBytes + limits.headBytes))
            let bytes = Int.random(in: 1 << 20...40 << 20, using: &random)
            var (taken, given) = (0, 0)
            for connections in 4...300 {
                limits.connections = connections
                let found = limits.within(bytes)
                #expect(found.byteCount >= taken && found.connections >= given, "\(limits) in \(bytes), seed \(seed)")
                #expect(found.connections <= connections && found.poolBytes >= limits.bodyBytes + limits.headBytes)
                (taken, given) = (found.byteCount, found.connections)
            }
        }
    }

    /// Beside clients, who have enough for a few requests in any case.
    @Test(arguments: wishes) private func everythingFits(wish: Wish) throws {
        let file = try Desk.shared.get().model.file
        for budget in stride(from: 80 << 20, through: 400 << 20, by: 11 << 20) {
            guard let plan = try? wish.plan(file, budget) else { continue }
            let memory = try Model.plan(file, plan.options)
            #expect(memory.total <= budget)
            #expect(memory.bytes(for: .requests) >= plan.clients.byteCount)
            #expect(plan.capacity.sequences == 1 || plan.clients.requestBytes >= 3 << 19)
        }
    }

    /// More memory lets more texts share a sweep, and those come before what drafts.
    @Test(arguments: [1, 2, 6]) func theBudgetThatIsNamedForDraftsIsOneForThem(sequences: Int) throws {
        let file = try Desk.shared.get().model.file
        let folder = try TemporaryDirectory()
        let copy = folder.path("copy.leaf")
        var requantization = RequantizationOptions()
        requantization.weights = .q4
        _ = try Requantizer(model: file.leaf.path, output: copy, options: requantization).run()
        let wish = Wish(sequences: sequences, context: 256)
        func missed(_ budget: Int, _ drafts: DraftOptions) throws -> String? {
            var options = try wish.plan(file, budget).options
            options.drafts = drafts
            return try Model(file, options).missedDrafts
        }
        for budget in stride(from: 56 << 20, through: 96 << 20, by: 8 << 20) {
            let drafts = try DraftOptions(named: copy, fixedCount: 4)
            guard let sentence = try missed(budget, drafts) else { continue }
            let advice = /; for .+ it drafts with ([0-9]+) MiB$/
            let named = try #require(sentence.firstMatch(of: advice), "\(sentence)")
            let enough = try #require(Int(named.output.1)) << 20
            #expect(enough > budget)
            #expect(try missed(enough, drafts) == nil, "\(sequences) texts, \(budget >> 20) MiB")
        }
    }
}
