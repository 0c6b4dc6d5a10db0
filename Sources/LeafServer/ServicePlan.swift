package import LeafExecutor
package import LeafSystem
import LeafWire
package import Leafcutter

/// What a server is opened for within its budget: texts on a sweep, connections, room for requests. Where memory is
/// short, all of them shrink rather than that nothing is served.
///
/// Memory goes to one text and the least for clients; to more texts, which leave clients a sixteenth; to clients, up to
/// an eighth; to rows of logits. So more memory never gives fewer texts.
package struct ServicePlan: Sendable {
    package let capacity: Demand
    package let clients: ClientRoom
    /// The options that were given, for this capacity and beside these clients.
    package let options: ModelOptions

    /// - Parameters:
    ///   - options: how the model is opened otherwise.
    ///   - context: tokens of a text, its answer included.
    ///   - sequences: texts on a sweep at the same time, if there is room for them.
    ///   - limits: of connections, if there is room for them.
    ///   - files: of what is kept for clients; nil where nothing is.
    /// - Throws: `.budget` with the smallest budget that serves one text at a time.
    package init(
        _ file: ModelFile, _ options: ModelOptions, context: Int, sequences: Int, _ limits: HTTPLimits,
        files: FileStore.Limits? = nil
    ) throws(LeafError) {
        let budget = if case .bytes(let bytes) = options.memory { bytes } else { Machine.current().defaultBudget }
        let widest = AnswerDesk.widestRoom(context: context, sequences: sequences, bodyBytes: limits.bodyBytes)
        func room(_ share: Int) -> ClientRoom { ClientRoom(limits, widest, files, within: share) }
        let texts = Texts(file: file, options: options, context: context)
        let least = room(ClientRoom.leastBytes)
        let rest = MemoryBudget.bytes(budget - max(0, budget / 16 - ClientRoom.leastBytes))
        let count = max(1, try texts.count(upTo: sequences, least, in: rest))
        let mebibytes = try Self.most(ClientRoom.leastBytes >> 20, (budget / 8) >> 20) { mebibytes throws(LeafError) in
            try texts.count(upTo: count, room(mebibytes << 20), in: options.memory) == count
        }
        let clients = room(mebibytes << 20)
        // With fewer rows of logits than the context has, scoring a prompt takes more sweeps.
        let rowBytes = file.configuration.vocabSize *| MemoryLayout<Float>.stride
        let rows = try Self.most(1, min(context, budget / 8 / max(1, rowBytes))) { rows throws(LeafError) in
            try texts.count(upTo: count, clients, scoring: rows, in: options.memory) == count
        }
        capacity = try texts.capacity(upTo: count, clients, scoring: rows, in: options.memory)
        self.clients = clients
        var opened = options
        (opened.capacity, opened.callerBytes) = (capacity, clients.byteCount)
        opened.resized = { budget throws(LeafError) in
            var resized = options
            resized.memory = .bytes(budget)
            return try ServicePlan(
                file, resized, context: context, sequences: sequences, limits, files: files
            ).options
        }
        self.options = opened
    }

    /// The largest of these numbers that fits; the least of them need not.
    private static func most(
        _ least: Int, _ wanted: Int, fits: (Int) throws(LeafError) -> Bool
    ) throws(LeafError) -> Int {
        guard wanted > least else { return least }
        if try fits(wanted) { return wanted }
        var (fitting, tooMany) = (least, wanted)
        while tooMany - fitting > 1 {
            let middle = fitting + (tooMany - fitting) / 2
            if try fits(middle) { fitting = middle } else { tooMany = middle }
        }
        return fitting
    }
}

/// Texts at the same time, beside clients.
private struct Texts {
    let file: ModelFile
    let options: ModelOptions
    /// Tokens of each.
    let context: Int

    /// As many as fit, and one in any case.
    ///
    /// - Parameter rows: of logits that a text wants that is scored. It is one at a time; the others want a row each.
    /// - Throws: `.budget` where not even one fits.
    func capacity(
        upTo sequences: Int, _ clients: ClientRoom, scoring rows: Int = 1, in memory: MemoryBudget
    ) throws(LeafError) -> Demand {
        let others = Array(repeating: Demand(context: context), count: sequences - 1)
        var options = options
        (options.memory, options.callerBytes) = (memory, clients.byteCount)
        return try Demand.fitting(
            [Demand(context: context, logitRows: rows)] + others, sequences: sequences, file, options)
    }

    /// How many fit; 0 where not even one does.
    func count(
        upTo sequences: Int, _ clients: ClientRoom, scoring rows: Int = 1, in memory: MemoryBudget
    ) throws(LeafError) -> Int {
        do throws(LeafError) {
            return try capacity(upTo: sequences, clients, scoring: rows, in: memory).sequences
        } catch {
            guard error.kind == .budget else { throw error }
            return 0
        }
    }
}

/// What clients may take beside the model.
package struct ClientRoom: Sendable {
    package let limits: HTTPLimits
    /// Bytes that requests may hold that wait or are under way.
    package let roomBytes: Int
    /// Bytes that one request may take, its answer while it is written included.
    package let requestBytes: Int
    /// Bytes that a batch may take; 0 where no files are kept.
    package let batchBytes: Int
    /// Bytes that the notes of clients' files take.
    private let fileBytes: Int

    /// For clients, whatever the budget.
    static let leastBytes = 6 << 20
    /// For the lines and notes of a batch, whatever the budget.
    private static let leastBatchBytes = 4 << 20

    /// - Parameters:
    ///   - limits: those that were asked for.
    ///   - widest: what the widest request takes.
    ///   - files: those that are kept; nil where none are.
    ///   - share: bytes for connections and requests. Batches take an eighth as much beside them.
    init(_ limits: HTTPLimits, _ widest: AnswerRoom, _ files: FileStore.Limits?, within share: Int) {
        self.limits = limits.within(share / 2)
        requestBytes = min(widest.bytes, share / 4)
        roomBytes = min(4 *| widest.held, share / 4)
        batchBytes = files == nil ? 0 : max(Self.leastBatchBytes, share / 8)
        fileBytes = files?.heapBytes ?? 0
    }

    package var byteCount: Int { limits.byteCount +| roomBytes +| requestBytes +| batchBytes +| fileBytes }
}
