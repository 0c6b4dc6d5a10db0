import LeafBatch
import LeafExecutor
import LeafFormat
import LeafStream
import LeafSystem
import LeafWire
import Leafcutter

/// What a program says of a model that it opens, plans for or has a job done with: the long options of the command line
/// in snake_case.
struct HostOptions {
    /// What the options are for, which decides what there are.
    enum Use { case model, plan, job }

    var memory = MemoryBudget.automatic
    var threads: Int?
    var reading = ReadingOptions()
    var activations = ActivationPrecision.int16
    var kv: KVPrecision?
    var context = 512
    var sequences = 1
    var logitRows: Int?
    /// Whether the system may be asked for the tiles of AMX.
    var mayUseTiles = false
    var deltas: [NamedFile] = []
    var deltaAlpha: Float?
    var promptEmbeddings: [NamedFile] = []
    private var speculate: String?
    private var draftTokens: Int?
    private var sharesNgrams = false
    /// What requests and their answers may take, beside what the model's own demand has for tokens under way.
    private var requestBytes = 8 << 20
    /// For plans alone.
    var diskRate: ByteRate?
    private var acceptance: Double?
    /// For jobs alone.
    var job = BatchJob.Options()

    private static let contexts = 1...1 << 20
    /// Rows of logits that every model has room for, if its context does.
    private static let fewestLogitRows = 16
    /// Rows of one result of logits.
    static let rowsOfResult = 64

    private static let names = [
        "memory", "threads", "io", "mirror", "max_read_rate", "activations", "kv", "sequences", "batch", "guard", "amx",
        "speculate", "draft_tokens", "share_ngrams", "delta", "deltas", "delta_alpha", "prompt_embedding",
        "prompt_embeddings",
    ]
    /// A job finds out by itself what its requests need.
    private static let namesOfModel = ["context", "logit_rows", "request_bytes"]
    private static let namesOfPlan = ["disk_rate", "cores", "acceptance"]
    private static let namesOfJob = ["resume", "skip_bad", "errors", "seed"]
    private static let sequencesOfJob = 8

    /// - Throws: `.usage` naming the option that makes no sense.
    init(json: [UInt8], for use: Use) throws(LeafError) {
        if use == .job { sequences = Self.sequencesOfJob }
        defer { job.sequences = sequences }
        guard !json.isEmpty else { return }
        guard json.count <= WireRequest.byteLimit else {
            throw LeafError(.usage, "the options have \(json.count) bytes, more than \(WireRequest.byteLimit)")
        }
        var options = self
        var reader = JSONReader(json[...])
        try reader.fields { name, reader throws(LeafError) in
            let isKnown = try options.read(name, &reader, for: use)
            guard isKnown else { throw JSONReader.unknown(name, among: Self.names(use)) }
        }
        try reader.end()
        self = options
        try check()
    }

    private static func names(_ use: Use) -> [String] {
        switch use {
        case .model: names + namesOfModel
        case .plan: names + namesOfModel + namesOfPlan
        case .job: names + namesOfJob
        }
    }

    /// - Returns: false for a name that there is not.
    private mutating func read(
        _ name: String, _ reader: inout JSONReader, for use: Use
    ) throws(LeafError) -> Bool {
        if try read(name, &reader) { return true }
        if use != .job, try readOfModel(name, &reader) { return true }
        switch use {
        case .model: return false
        case .plan: return try readOfPlan(name, &reader)
        case .job: return try readOfJob(name, &reader)
        }
    }

    private mutating func readOfModel(_ name: String, _ reader: inout JSONReader) throws(LeafError) -> Bool {
        switch name {
        case "context": context = try reader.integer()
        case "logit_rows": logitRows = try reader.integer(Int.self)
        case "request_bytes":
            let bytes = try reader.integer(Int.self)
            guard bytes > 0 else { throw reader.wrong("is \(bytes), where a number of bytes above 0 is wanted") }
            requestBytes = max(requestBytes, bytes)
        default: return false
        }
        return true
    }

    private mutating func readOfJob(_ name: String, _ reader: inout JSONReader) throws(LeafError) -> Bool {
        switch name {
        case "resume": job.resumes = try reader.bool()
        case "skip_bad": job.skipsBad = try reader.bool()
        case "errors": job.errors = try reader.filePath()
        case "seed": job.seed = try reader.integer(UInt64.self)
        default: return false
        }
        return true
    }

    private mutating func readOfPlan(_ name: String, _ reader: inout JSONReader) throws(LeafError) -> Bool {
        switch name {
        case "disk_rate": diskRate = try Self.rate(&reader)
        case "cores": threads = try reader.integer(Int.self)
        case "acceptance": acceptance = try reader.number(Double.self)
        default: return false
        }
        return true
    }

    private mutating func read(_ name: String, _ reader: inout JSONReader) throws(LeafError) -> Bool {
        switch name {
        case "memory": memory = try Self.memory(&reader)
        case "threads": threads = try reader.integer(Int.self)
        case "io": reading.mode = try Self.choice(&reader)
        case "mirror": reading.mirror = try reader.filePath()
        case "max_read_rate": reading.maxBytesPerSecond = try Self.rate(&reader).bytesPerSecond
        case "activations": activations = try Self.choice(&reader)
        case "kv": kv = try Self.choice(&reader)
        case "sequences", "batch": sequences = try reader.integer()
        case "guard": reading.guardsMapping = try reader.bool()
        case "amx": mayUseTiles = try reader.bool()
        case "speculate": speculate = try reader.filePath("auto, off, ngram or a model")
        case "draft_tokens": draftTokens = try reader.integer(Int.self)
        case "share_ngrams": sharesNgrams = try reader.bool()
        case "delta", "deltas": deltas.append(contentsOf: try Self.files(&reader))
        case "delta_alpha": deltaAlpha = try reader.number()
        case "prompt_embedding", "prompt_embeddings": promptEmbeddings.append(contentsOf: try Self.files(&reader))
        default: return false
        }
        return true
    }

    private func check() throws(LeafError) {
        guard Self.contexts.contains(context) else {
            throw LeafError(.usage, "a context of \(context) is not between 1 and \(Self.contexts.upperBound)")
        }
        guard (1...GenerationOptions.mostSequences).contains(sequences) else {
            throw LeafError(
                .usage, "\(sequences) sequences are not between 1 and \(GenerationOptions.mostSequences)")
        }
        if let logitRows, !(1...context +| sequences).contains(logitRows) {
            throw LeafError(
                .usage, "logit_rows is \(logitRows), where 1 to \(context + sequences) make sense with this context")
        }
        guard deltaAlpha == nil || !deltas.isEmpty else {
            throw LeafError(.usage, "delta_alpha belongs to delta, which is missing")
        }
    }
}

// MARK: Values

extension HostOptions {
    static func memory(_ reader: inout JSONReader) throws(LeafError) -> MemoryBudget {
        if try reader.kind(among: [.number, .text]) == .number {
            let bytes = try reader.integer(Int.self)
            guard bytes >= 0 else { throw reader.wrong("is \(bytes), where a number of bytes is wanted") }
            return .bytes(bytes)
        }
        let text = try reader.text()
        if text == "auto" { return .automatic }
        guard let count = ByteCount(text) else {
            let reason = Self.reason(ByteCount.fault(in: text), "a size such as 512MiB, 2GiB, bytes or auto")
            throw reader.wrong("is '\(text.prefix(40))', \(reason)")
        }
        return .bytes(count.bytes)
    }

    private static func rate(_ reader: inout JSONReader) throws(LeafError) -> ByteRate {
        if try reader.kind(among: [.number, .text]) == .number {
            let bytes = try reader.integer(Int.self)
            guard bytes > 0 else { throw reader.wrong("is \(bytes), where bytes a second are wanted") }
            // A program counts in bytes, so a small number may be meant.
            if let doubt = ByteRate.doubt(about: "\(bytes)B") { throw reader.wrong("is \(bytes), which \(doubt)") }
            return ByteRate(bytesPerSecond: bytes)
        }
        let text = try reader.text()
        guard let rate = ByteRate(text) else {
            let reason = Self.reason(ByteRate.fault(in: text), "a rate such as 200MB/s or 1GiB/s")
            throw reader.wrong("is '\(text.prefix(40))', \(reason)")
        }
        if let doubt = ByteRate.doubt(about: text) { throw reader.wrong("is '\(text.prefix(40))', which \(doubt)") }
        return rate
    }

    /// Why a text is refused, behind it: its fault, or its form.
    private static func reason(_ fault: String?, _ wanted: String) -> String {
        fault.map { "which \($0)" } ?? "where \(wanted) is wanted"
    }

    /// One of a few words.
    static func choice<Value: RawRepresentable & CaseIterable>(
        _ reader: inout JSONReader
    ) throws(LeafError) -> Value where Value.RawValue == String {
        let text = try reader.text()
        guard let value = Value(rawValue: text) else {
            let words = Value.allCases.map(\.rawValue).joined(separator: ", ")
            throw reader.wrong("is '\(text.prefix(40))', not one of \(words)")
        }
        return value
    }

    /// Files and the names by which requests choose: a text (`FILE` or `NAME=FILE`), a list of such, or an object of
    /// names.
    private static func files(_ reader: inout JSONReader) throws(LeafError) -> [NamedFile] {
        func file(_ text: String, _ reader: JSONReader) throws(LeafError) -> NamedFile {
            guard let file = NamedFile(argument: text) else {
                throw reader.wrong("holds '\(text.prefix(40))', where a file, or NAME=FILE, is wanted")
            }
            return file
        }
        var files: [NamedFile] = []
        switch try reader.kind(among: [.text, .list, .object]) {
        case .list:
            try reader.list { reader throws(LeafError) in files.append(try file(reader.filePath(), reader)) }
        case .object:
            try reader.object { name, reader throws(LeafError) in
                files.append(NamedFile(name: name, path: try reader.filePath()))
            }
        default: files.append(try file(reader.filePath(), reader))
        }
        return files
    }
}

// MARK: What a model is opened for

extension HostOptions {
    /// - Throws: `.io`, `.badInput`, `.budget`, `.usage`.
    func open(_ path: String) throws(LeafError) -> ModelFile {
        if mayUseTiles { InstructionSet.permitTiles() }
        return try tuned(ModelFile(path: path, toPlanFor: memory))
    }

    /// The file with adapters and soft prompts.
    func tuned(_ model: ModelFile) throws(LeafError) -> ModelFile {
        var file = model
        for delta in deltas { try file.addAdapter(path: delta.path, alpha: deltaAlpha, named: delta.name) }
        for prompt in promptEmbeddings { try file.addSoftPrompt(path: prompt.path, named: prompt.name) }
        return file
    }

    /// How the model is opened: with as many rows of logits as its context has, if those take no more than half of the
    /// budget, and fewer otherwise.
    ///
    /// - Throws: `.budget` with the smallest budget that works, `.usage`.
    func modelOptions(_ file: ModelFile) throws(LeafError) -> ModelOptions {
        let fewest = smallestOptions(file)
        guard logitRows == nil else { return fewest }
        let plan = try Model.plan(file, fewest)
        var chosen = fewest
        var rows = context
        while rows > fewest.capacity.logitRows {
            let options = options(file, logitRows: rows)
            var unlimited = options
            unlimited.memory = .bytes(.max)
            if try Model.plan(file, unlimited).minimum <= max(plan.minimum, plan.budget / 2) {
                chosen = options
                break
            }
            rows /= 2
        }
        chosen.resized = { [self] budget throws(LeafError) in
            var resized = self
            resized.memory = .bytes(budget)
            return try resized.modelOptions(file)
        }
        return chosen
    }

    /// What drafts for the model.
    ///
    /// - Parameter usual: what drafts where nobody says.
    /// - Throws: as for a model that is opened, `.usage` for a number of drafts that nothing makes.
    func drafts(usual: String = "auto") throws(LeafError) -> DraftOptions {
        var drafts = try DraftOptions(
            named: speculate ?? usual, fixedCount: draftTokens, acceptance: acceptance, memory: memory)
        drafts.sharesNgrams = sharesNgrams
        return drafts
    }

    /// The same with the fewest rows of logits: what decides whether it fits at all.
    func smallestOptions(_ file: ModelFile) -> ModelOptions {
        options(file, logitRows: logitRows ?? max(sequences, min(context, Self.fewestLogitRows)))
    }

    /// How the model of a job is opened, but for the room that its requests need.
    var optionsOfJob: ModelOptions {
        ModelOptions(
            memory: memory, threads: threads, reading: reading, activations: activations, kv: kv,
            capacity: Demand(context: 1))
    }

    private func options(_ file: ModelFile, logitRows: Int) -> ModelOptions {
        var options = ModelOptions(
            memory: memory, threads: threads, reading: reading, activations: activations, kv: kv,
            capacity: Demand(
                context: context *| sequences, longest: context, rows: context +| sequences, logitRows: logitRows,
                sequences: sequences))
        let result = Self.resultBytes(rows: logitRows, columns: file.configuration.vocabSize)
        let bytes = requestBytes +| 2 *| result
        options.callerBytes = bytes
        // The room for requests is what limits them.
        options.requestLimit = 1_000_000
        return options
    }

    /// Bytes of one result of logits.
    static func resultBytes(rows: Int, columns: Int) -> Int {
        min(rows, rowsOfResult) *| columns *| MemoryLayout<Float>.stride
    }
}
