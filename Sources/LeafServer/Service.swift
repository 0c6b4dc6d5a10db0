import Dispatch
import LeafFormat
package import LeafSystem
import LeafWire
package import Leafcutter

/// Answers HTTP requests with one model. Clients take turns on its sweeps, and none of them is left without a word.
///
/// Everything of it happens on the thread that calls `run`; the engine and whoever opens the model send it messages.
package final class Service {
    package struct Options: Sendable {
        package var limits = HTTPLimits()
        /// Requests that may wait.
        package var queue = 64
        /// What requests that wait or are under way may hold, in bytes.
        package var roomBytes = 8 << 20
        /// Nil where everybody may ask.
        package var keys: KeyRing?
        /// A page of another site that may ask, by its origin; `*` for all.
        package var crossOrigin: String?
        package var allowedHosts: [String] = []
        /// How long what is under way may take once no more is taken.
        package var drainSeconds = 60.0
        package var log: AccessLog?
        /// Nil where no files are kept, and so no batches run.
        package var files: Files?
        /// How the server's owner has files kept.
        package var filesAdvice = "its owner can give it a folder for them"

        package init() {}
    }

    /// The model, once it is open.
    package struct Opened: Sendable {
        package let model: Model
        package let desk: AnswerDesk

        package init(_ model: Model, _ desk: AnswerDesk) { (self.model, self.desk) = (model, desk) }
    }

    /// An event of a request, as text.
    enum Told: Sendable {
        case chunk(String)
        case tokens(Int)
        /// The whole answer, nil behind a stream's chunks.
        case finished(String?)
        case failed(LeafError)
    }

    enum Message: Sendable {
        case opened(Opened)
        case told(number: Int, Told)
        case filed(number: Int, FileDesk.Answer)
        /// A batch has generated so many.
        case batchTokens(Int)
        /// A batch has left places on the sweep.
        case placesReturned
        case stop
        case cutOff(Farewell)
    }

    /// Whether all connections were ended.
    typealias Farewell = Monitor<Bool>

    let options: Options
    let loop: EventLoop
    let hosts: HostRule
    private(set) var http: HTTPServer!
    let inbox: LoopInbox<Message>
    private var watches: [EventWatch] = []
    private(set) var opened: Opened?
    private(set) var feed: SweepFeed?
    private(set) var isStopping = false
    private var stopsAt: ContinuousClock.Instant?
    /// Whether whoever runs this ends the process.
    private var isCutOff = false

    var carousel: Carousel
    var jobs: [Int: Job] = [:]
    var metrics = ServerMetrics()
    var heldBytes = 0
    var lastNumber = 0
    /// Rows on the sweep, by what a request was told last.
    var rows = 0
    /// Those who watch the sweeps.
    var watchers: [ObjectIdentifier: Watcher] = [:]
    /// Nil where no files are kept.
    let fileDesk: FileDesk?
    /// Those who have asked it.
    var asked: [Int: HTTPExchange] = [:]
    /// Nil before there is a model.
    var batchGate: BatchGate?
    var batchRunner: BatchRunner?

    private static let tickMilliseconds = 100
    /// For the sweeps of requests that were cut off to end, once the time to stop is over.
    private static let lastSweep = Duration.seconds(10)

    /// - Parameters:
    ///   - sockets: it listens at them from now on, and answers once it runs.
    ///   - places: texts on a sweep at the same time.
    /// - Throws: `.io` if the system gives no descriptors.
    package init(
        _ sockets: [ListeningSocket], _ certificate: TLSCertificate? = nil, places: Int, _ options: Options
    ) throws(LeafError) {
        self.options = options
        loop = try EventLoop()
        inbox = try LoopInbox()
        hosts = HostRule(sockets.map(\.address), allowed: options.allowedHosts)
        carousel = Carousel(places: places, capacity: options.queue)
        fileDesk =
            if let files = options.files { try FileDesk(files.store) } else { nil }
        http = try HTTPServer(loop, options.limits, certificate) { [unowned self] in take($0) }
        http.onFragment = { [unowned self] in note($0) }
        for socket in sockets { try http.listen(at: socket) }
        watches = [
            loop.whenReadable(inbox.descriptor) { [unowned self] in readInbox() },
            loop.every(milliseconds: Self.tickMilliseconds) { [unowned self] in tick() },
        ]
    }

    /// Answers until it is stopped and what was under way is over.
    package func run() {
        loop.run()
        for job in jobs.values { job.cancellation.cancel() }
        http.close()
        batchRunner?.stop()
        batchRunner?.wait()
    }

    /// What other threads may ask of it.
    package struct Handle: Sendable {
        private let inbox: LoopInbox<Message>

        fileprivate init(_ inbox: LoopInbox<Message>) { self.inbox = inbox }

        /// Requests are answered from now on.
        package func open(_ opened: Opened) { inbox.put(.opened(opened)) }

        /// Takes no more requests, and ends when what is under way is over.
        package func stop() { inbox.put(.stop) }

        /// Ends all connections, and returns when each answer that was under way stands in the log, at the latest when
        /// the time is over.
        package func cutOff(within milliseconds: UInt64) {
            let farewell = Farewell(false, events: 1)
            inbox.put(.cutOff(farewell))
            let end = DispatchTime.now().uptimeNanoseconds + milliseconds * 1_000_000
            _ = farewell.sleep(until: end, for: .ended) { $0 }
        }
    }

    package var handle: Handle { Handle(inbox) }

    // MARK: What happens

    private func readInbox() {
        for message in inbox.take() {
            switch message {
            case .opened(let opened):
                self.opened = opened
                feed = SweepFeed(opened.model, name: opened.desk.settings.modelName)
                startBatches(on: opened)
            case .told(let number, let told): hear(told, of: number)
            case .filed(let number, let answer): hear(answer, of: number)
            case .batchTokens(let count): metrics.count(tokens: count)
            case .placesReturned: break
            case .stop: stop()
            case .cutOff(let farewell):
                isCutOff = true
                http.close()
                farewell.withLock { $0 = true }
                farewell.wakeAll(.ended)
            }
        }
        advance()
        endIfDone()
    }

    /// Has events of a job's sent here from the engine's thread.
    func teller(for number: Int, _ box: ProgressBox) -> ServedRequest.Teller {
        { [inbox] event in
            switch event {
            // Progress comes often, and only the last is of interest.
            case .progress(let progress): box.put(progress)
            // A tree of JSON is many times as large as its text.
            case .chunk(let json): inbox.put(.told(number: number, .chunk(json.line)))
            case .tokens(let count): inbox.put(.told(number: number, .tokens(count)))
            case .finished(.success(let answer)): inbox.put(.told(number: number, .finished(answer?.line)))
            case .finished(.failure(let error)): inbox.put(.told(number: number, .failed(error)))
            }
        }
    }

    private func tick() {
        let now = ContinuousClock.now
        feed?.look(isRunning: carousel.takenPlaces > 0, at: now)
        for job in jobs.values {
            if let progress = job.progress.value, carousel.isUnderWay(job.number) { rows = progress.rows }
            keepAlive(job, now)
        }
        feedWatchers(now)
        if let stopsAt, now >= stopsAt {
            for job in jobs.values { job.cancellation.cancel() }
            // Whoever does not read an answer keeps nobody from stopping.
            http.closeStalled()
            if now >= stopsAt + Self.lastSweep { return loop.stop() }
        }
        endIfDone()
    }

    private func stop() {
        guard !isStopping else { return }
        isStopping = true
        stopsAt = .now + .seconds(options.drainSeconds)
        http.stopListening()
        batchRunner?.stop()
        for watcher in watchers.values { watcher.exchange.end() }
        watchers = [:]
    }

    private func endIfDone() {
        // A request that was cancelled when the time was over ends with its sweep.
        if isStopping, !isCutOff, jobs.isEmpty, http.answeringCount == 0 { loop.stop() }
    }
}

extension Monitor.Event {
    fileprivate static var ended: Self { Self(0) }
}
