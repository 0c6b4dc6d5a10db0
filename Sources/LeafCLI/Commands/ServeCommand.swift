import Dispatch
import Glibc
import LeafArguments
import LeafFormat
import LeafServer
import LeafSystem
import LeafWire
import Leafcutter
import Synchronization

/// `leafcutter serve MODEL`
struct ServeCommand: Command {
    var model = ""
    var address: ListeningAddress?
    var keyFile: String?
    var needsNoKey = false
    var certificate: String?
    var certificateKey: String?
    var queue = 64
    var batch = BatchSize(8)
    var context = 512
    var requestLimit = ByteCount(bytes: 1 << 20)
    var connections = 256
    var origin: PageOrigin?
    var hosts: [HostName] = []
    var name: String?
    var drainTime = 60
    var log: AccessLog.Format?
    var files: String?
    var mostFiles = 256
    var filesLimit = ByteCount(bytes: 1 << 30)
    var tuning = TuningOptions()
    var engine = EngineOptions(speculate: "auto")
    var common = CommonOptions()

    static let syntax = CommandSyntax<ServeCommand>(
        name: "serve", summary: "Answer OpenAI's clients, and people with a browser, over HTTP.",
        discussion: """
            /v1/completions, /v1/chat/completions and /v1/embeddings are answered as OpenAI's clients expect, \
            /v1/fill and /v1/score as the commands of these names; / is a page to write with, /openapi.json says \
            everything. Requests of all clients share each reading of the model, and clients take turns. While a \
            token takes seconds, clients are sent signs of life.

            With --files, clients may send files of requests and have them answered in the background: /v1/files \
            and /v1/batches. What was not done when the server ends goes on when it is started again.

            Connections, requests and answers are inside --memory, too. Without --api-key-file it listens to this \
            machine alone. SIGTERM or Ctrl-C takes no more requests and finishes what is under way; a second one ends \
            at once.
            """,
        arguments: [.required("MODEL", "A .leaf file.", \.model, suggest: .model)],
        options: [
            .value(
                "listen", "ADDRESS", "HOST:PORT or unix:PATH (default 127.0.0.1:8080); port 0 lets the system choose.",
                \.address),
            .value(
                "api-key-file", "FILE", "The keys that clients may have, one a line; all others are turned away.",
                \.keyFile, suggest: .file),
            .flag("no-auth", "Listen beyond this machine without keys.", \.needsNoKey),
            .value(
                "tls-cert", "FILE", "A certificate in PEM, with those that vouch for it: HTTPS.", \.certificate,
                suggest: .file),
            .value("tls-key", "FILE", "The certificate's key in PEM.", \.certificateKey, suggest: .file),
            .value("max-batch", "B", "Texts on a sweep at most (default 8); fewer if memory is short.", \.batch),
            .number("max-context", "N", .context, "Tokens of a text, its answer included (default 512).", \.context),
            .number("max-queue", "N", .init(queues), "Requests that may wait (default 64).", \.queue),
            .value("request-limit", "SIZE", "The longest body (default 1MiB).", \.requestLimit),
            .number(
                "max-connections", "N", .init(connectionLimits), "Connections at most, 4 to 10000 (default 256).",
                \.connections),
            .value("cors", "ORIGIN", "Let pages of another site ask: https://example.org, or * for all.", \.origin),
            .values("allow-host", "NAME", "A name by which clients may call the server.", \.hosts),
            .value("model-name", "NAME", "How the model is listed (default: the file's name).", \.name),
            .number(
                "drain-time", "SECONDS", .init(0...86_400), "For what is under way when it is stopped (default 60).",
                \.drainTime),
            .value(
                "log", "FORMAT", "A line on standard error for each request: text or json (default: none).", \.log,
                suggest: .words(AccessLog.Format.allCases.map(\.rawValue))),
            .value(
                "files", "FOLDER", "Keep clients' files and batches here: turns on /v1/files and /v1/batches.", \.files,
                suggest: .folder),
            .number(
                "max-files", "N", .init(fileCounts),
                "Files to keep at most, 4 to 100000, those of batches included (default 256).", \.mostFiles),
            .value("files-limit", "SIZE", "Bytes of all files together (default 1GiB).", \.filesLimit),
        ] + (TuningOptions.all + [TuningOptions.corpus]).map { $0.lifted(\.tuning) }
            + (EngineOptions.all + EngineOptions.draftOptions + [EngineOptions.keepOption, EngineOptions.shareOption])
            .map { $0.lifted(\.engine) } + CommonOptions.quietness.map { $0.lifted(\.common) },
        examples: [
            "serve ant.leaf --memory 2GiB",
            "serve ant.leaf --memory 2GiB --listen 0.0.0.0:8080 --api-key-file keys.txt",
            "serve ant.leaf --listen unix:/run/leafcutter.sock --max-batch 16",
            "serve ant.leaf --memory 2GiB --files files --request-limit 64MiB",
        ])

    private static let queues = 1...10_000
    private static let connectionLimits = 4...10_000
    private static let requestLimits = 1 << 10...64 << 20
    private static let fileCounts = 4...100_000

    func run(_ terminal: Terminal) throws(LeafError) {
        let journal = AccessLog(log ?? .text, warn: terminal.notes.warn, write: terminal.notes.write)
        do throws(LeafError) {
            try serve(journal, terminal)
        } catch {
            guard log == .json else { throw error }
            // Whoever reads the log as JSON finds nothing else in it.
            journal.tell(error.advised, as: "error", .string(error.advised))
            exit(error.exitCode)
        }
    }

    private func serve(_ journal: AccessLog, _ terminal: Terminal) throws(LeafError) {
        try validate()
        if log != .json { terminal.progress.show("opening \(model)") }
        let keys: KeyRing? = if let keyFile { try KeyRing(path: keyFile) } else { nil }
        let file = try tuning.open(model, memory: engine.memory, terminal)
        let prompt = file.configuration.promptLength
        guard context > prompt else {
            throw LeafError(
                .usage, "--max-context \(context) leaves no room for a text: the soft prompt takes \(prompt) of it")
        }
        var options = engine.modelOptions(Demand(context: 1))
        options.requestLimit = 1_000_000
        var limits = HTTPLimits()
        (limits.connections, limits.bodyBytes) = (connections, requestLimit.bytes)
        limits = limits.withinDescriptors()
        let certificate = try tlsCertificate()
        limits.isEncrypted = certificate != nil
        // The longest body has to fit, whatever others send meanwhile.
        limits.poolBytes = max(limits.poolBytes, 2 * (limits.bodyBytes + limits.headBytes))
        let plan = try ServicePlan(
            file, options, context: context, sequences: batch.count, limits, files: files.map { _ in fileLimits })
        options = plan.options
        try engine.checkResults(beside: file, [keyFile, self.certificate, certificateKey].compactMap { $0 })
        options.drafts = try engine.drafts(warning: journal.warn)
        _ = try Model.plan(file, options)
        let kept = try files.map { folder throws(LeafError) in
            // What clients send, and what is answered, is nobody else's business.
            umask(0o077)
            let store = try FileStore(folder: folder, fileLimits, warn: { journal.warn($0) })
            let origin = try Model.origin(of: file, options)
            for sentence in try store.setAside(unless: origin) { journal.warn(sentence) }
            return Service.Files(store, origin: origin, batchBytes: plan.clients.batchBytes)
        }
        let socket =
            if let inherited = ListeningSocket.inherited() { inherited } else {
                try ListeningSocket(address ?? .usual)
            }
        let service = try Service(
            [socket], certificate, places: plan.capacity.sequences, self.options(plan, keys, kept, journal))
        try open(file, options, plan, service, socket, journal, terminal)
    }

    private func validate() throws(LeafError) {
        let (limit, limits) = (requestLimit.bytes, Self.requestLimits)
        guard limits.contains(limit) else {
            throw LeafError(
                .usage,
                "--request-limit \(limit.sizeText) is not from \(limits.lowerBound.sizeText) to "
                    + limits.upperBound.sizeText)
        }
        guard (certificate == nil) == (certificateKey == nil) else {
            throw LeafError(.usage, "--tls-cert and --tls-key belong together; give both")
        }
        let isLocal = (address ?? .usual).isLocal
        guard isLocal || keyFile != nil || needsNoKey else {
            throw LeafError(
                .usage,
                "--listen \((address ?? .usual).description) lets other machines ask; give --api-key-file FILE, or "
                    + "--no-auth if anybody may")
        }
    }

    private func tlsCertificate() throws(LeafError) -> TLSCertificate? {
        guard let certificate, let certificateKey else { return nil }
        return try TLSCertificate(chain: certificate, key: certificateKey)
    }

    private var fileLimits: FileStore.Limits {
        var limits = FileStore.Limits()
        (limits.files, limits.bytes) = (mostFiles, filesLimit.bytes)
        return limits
    }

    private func options(
        _ plan: ServicePlan, _ keys: KeyRing?, _ files: Service.Files?, _ journal: AccessLog
    ) -> Service.Options {
        var options = Service.Options()
        (options.files, options.filesAdvice) = (files, "start it with --files FOLDER")
        (options.limits, options.roomBytes, options.queue) = (plan.clients.limits, plan.clients.roomBytes, queue)
        (options.keys, options.crossOrigin, options.allowedHosts) = (keys, origin?.text, hosts.map(\.text))
        options.drainSeconds = Double(drainTime)
        if log != nil { options.log = journal }
        return options
    }

    /// Serves while the model is opened, so that whoever asks is told, and then for good.
    private func open(
        _ file: ModelFile, _ options: ModelOptions, _ plan: ServicePlan, _ service: Service, _ socket: ListeningSocket,
        _ journal: AccessLog, _ terminal: Terminal
    ) throws(LeafError) {
        let handle = service.handle
        let watch = terminal.interrupt.cancellation.watch { handle.stop() }
        let outcome = Opening()
        terminal.interrupt.beforeEnd { [engine] in
            handle.cutOff(within: 250)
            outcome.keepAcceptance(engine, journal)
        }
        defer {
            terminal.interrupt.cancellation.unwatch(watch)
            terminal.interrupt.endsAtOnce()
        }
        var settings = AnswerDesk.Settings()
        settings.mostBytes = plan.clients.requestBytes
        settings.modelName = name ?? Self.name(of: file)
        let opening = ThreadGroup()
        let address = socket.address.url(isEncrypted: certificate != nil)
        try opening.start { [self, isQuiet = terminal.isQuiet, settings] in
            do throws(LeafError) {
                let model = try Model(file, options)
                outcome.result.withLock { $0 = .success(model) }
                handle.open(Service.Opened(model, AnswerDesk(file, capacity: model.capacity, settings)))
                if let warning = draftWarning(of: model) { journal.warn(warning) }
                if !isQuiet { tellListening(at: address, plan, journal) }
                // One that is killed has kept nearly all.
                while engine.keepsAcceptance, model.missedDrafts == nil, outcome.rest() {
                    outcome.keepAcceptance(engine, journal)
                }
            } catch {
                outcome.result.withLock { $0 = .failure(error) }
                handle.stop()
            }
        }
        terminal.progress.clear()
        service.run()
        outcome.end()
        opening.wait()
        if let model = try outcome.result.withLock({ $0 })?.get() {
            outcome.keepAcceptance(engine, journal)
            if !terminal.isQuiet { journal.tellDrafts(of: model) }
        }
        if !terminal.isQuiet { journal.tell("stopped", as: "stopped", .bool(true)) }
    }

    /// Why nothing drafts although somebody asked for it, and what else than memory changes that.
    private func draftWarning(of model: Model) -> String? {
        guard let warning = model.draftWarning else { return nil }
        // The memory that it names is that for as many texts as may be.
        let hasHint = batch.count > 1 && model.draftsWithMoreMemory
        return warning + (hasHint ? "; fewer texts at once, by --max-batch, need less" : "")
    }

    private func tellListening(at address: String, _ plan: ServicePlan, _ journal: AccessLog) {
        let (texts, connections) = (plan.capacity.sequences, plan.clients.limits.connections)
        let words = "\(texts) of \(batch.count) texts at the same time, \(context) tokens each"
        journal.tell(
            "listening on \(address) (\(words), \(connections) connections)", as: "listening",
            [
                "address": .string(address), "texts": .integer(texts), "context": .integer(context),
                "connections": .integer(connections),
            ])
    }

    /// What another thread has opened, and when that may end.
    private final class Opening: Sendable {
        let result = Mutex<Result<Model, LeafError>?>(nil)
        private let keeping = Mutex(())
        private let isOver = Monitor(false, events: 1)
        /// Between two times at which is kept what came of drafts.
        private static let restNanoseconds: UInt64 = 600_000_000_000

        /// Sleeps for some minutes.
        ///
        /// - Returns: false if the server has ended meanwhile.
        func rest() -> Bool {
            let end = DispatchTime.now().uptimeNanoseconds + Self.restNanoseconds
            return isOver.sleep(until: end, for: .over) { $0 }
        }

        /// Keeps what came of drafts. Whoever is about to end the process waits until another thread has done so.
        func keepAcceptance(_ engine: EngineOptions, _ journal: AccessLog) {
            guard case .success(let model)? = result.withLock({ $0 }) else { return }
            keeping.withLock { _ in engine.keepAcceptance(of: model, warning: journal.warn) }
        }

        func end() {
            isOver.withLock { $0 = true }
            isOver.wakeAll(.over)
        }
    }

    private static func name(of file: ModelFile) -> String {
        let last = file.leaf.path.split(separator: "/").last.map(String.init) ?? "cpm-ant"
        return last.hasSuffix(".leaf") ? String(last.dropLast(5)) : last
    }
}

extension ListeningAddress: ArgumentValue {
    public init?(argument: String) { self.init(argument) }
    public static var expectation: String { "HOST:PORT or unix:PATH, such as 127.0.0.1:8080" }
}

extension Monitor.Event {
    fileprivate static var over: Self { Self(0) }
}

extension AccessLog.Format: ArgumentValue {}

extension PageOrigin: ArgumentValue {
    package init?(argument: String) { self.init(argument) }
    package static var expectation: String {
        "an origin as browsers send it, such as https://example.org or http://localhost:3000, or * for all"
    }
}

extension HostName: ArgumentValue {
    package init?(argument: String) { self.init(argument) }
    package static var expectation: String {
        "a name as clients call a server, without scheme, port or path, such as ant.example.org"
    }
}

extension ListeningAddress {
    fileprivate func url(isEncrypted: Bool) -> String {
        if case .unix = self { return description }
        return "http\(isEncrypted ? "s" : "")://\(description)"
    }
}
