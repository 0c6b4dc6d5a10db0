import LeafFormat
import LeafGeneration
import LeafSystem
import LeafWire
import Leafcutter

/// Requests that a model answers: their turn, their events, their end.
extension Service {
    /// The longest that a client hears nothing.
    private static let silence = Duration.seconds(4)
    /// An answer whose first part takes longer is begun without it.
    private static let patience = Duration.milliseconds(500)

    /// Takes a request whose body asks the model for something.
    ///
    /// - Parameter client: whose turn it is answered in.
    func enqueue(_ exchange: HTTPExchange, _ route: AnswerDesk.Route, client: String) {
        guard let opened else { return refuse(exchange, .loading) }
        guard !isStopping else { return refuse(exchange, .stopping) }
        let request: ServedRequest
        do throws(ServedError) {
            request = try exchange.withBody { bytes in
                Result { () throws(ServedError) in
                    guard bytes.count <= options.limits.bodyBytes else { throw .bodyTooLong(options.limits.bodyBytes) }
                    return try opened.desk.request(route, body: Array(bytes)[...])
                }
            }.get()
        } catch {
            return refuse(exchange, error)
        }
        exchange.dropBody()
        guard heldBytes +| request.room.held <= options.roomBytes || jobs.isEmpty else { return refuseBusy(exchange) }
        lastNumber += 1
        let job = Job(lastNumber, exchange, request, route: route.rawValue)
        if request.sequences > 0 {
            let isBackground = HeaderValue.urgency(of: exchange.header("Priority")) > HeaderValue.usualUrgency
            let entry = Carousel.Entry(
                number: job.number, client: client, places: request.sequences, isBackground: isBackground)
            // The last connection is for whoever is answered at once, as /health is.
            let isLast = jobs.count + watchers.count + 1 >= options.limits.connections
            guard !isLast, carousel.add(entry) else { return refuseBusy(exchange) }
        }
        name(request.ignored, to: exchange)
        if request.unknown > 0 { exchange.add(header: "X-Leafcutter-Unknown", "\(request.unknown)") }
        jobs[job.number] = job
        heldBytes +|= job.bytes
        exchange.endsWithClient = request.sequences > 0
        exchange.whenGone = { [unowned self] in leave(job) }
        if request.sequences == 0 { begin(job) } else { advance() }
    }

    /// Begins whatever has its turn and fits.
    func advance() {
        while let entry = batchGate.map({ $0.next(of: &carousel) }) ?? carousel.next() {
            guard let job = jobs[entry.number] else {
                carousel.remove(entry.number)
                continue
            }
            begin(job)
        }
    }

    private func begin(_ job: Job) {
        guard let opened else { return }
        do throws(LeafError) {
            try job.request.begin(on: opened.model, job.cancellation, tell: teller(for: job.number, job.progress))
        } catch {
            fail(job, error)
        }
    }

    /// The client is gone, or was sent away: nobody wants the answer.
    private func leave(_ job: Job) {
        job.cancellation.cancel()
        // What is under way ends with its last event.
        if carousel.isUnderWay(job.number) || job.request.sequences == 0 { return }
        drop(job)
        advance()
    }

    private func drop(_ job: Job) {
        guard jobs.removeValue(forKey: job.number) != nil else { return }
        carousel.remove(job.number)
        heldBytes -= job.bytes
    }

    // MARK: Events

    func hear(_ told: Told, of number: Int) {
        guard let job = jobs[number] else { return }
        switch told {
        case .tokens(let count): return metrics.count(tokens: count)
        case .chunk(let line):
            begin(answerOf: job)
            return send(job, "data: \(line)\n\n")
        case .finished(let line): finish(job, line)
        case .failed(let error): fail(job, error)
        }
        advance()
    }

    /// - Parameter line: the whole answer; nil behind a stream's chunks.
    private func finish(_ job: Job, _ line: String?) {
        defer { drop(job) }
        guard !job.exchange.isGone else { return }
        if job.request.sequences > 0 {
            metrics.note(answerSeconds: (ContinuousClock.now - job.exchange.began) / .seconds(1))
        }
        if job.request.isStream || job.exchange.isStarted {
            begin(answerOf: job)
            send(job, line.map { $0 + "\n" } ?? "data: [DONE]\n\n")
            job.exchange.end()
        } else {
            job.exchange.send(.ok, "application/json", ((line ?? "null") + "\n").utf8)
        }
    }

    private func fail(_ job: Job, _ error: LeafError) {
        defer { drop(job) }
        guard !job.exchange.isGone else { return }
        let error = ServedError(error)
        guard job.exchange.isStarted else { return refuse(job.exchange, error) }
        // What was sent says 200: the connection ends without an end of the answer.
        if job.request.isStream { send(job, "event: error\ndata: \(error.body.line)\n\n") }
        job.exchange.breakOff()
    }

    private func begin(answerOf job: Job) {
        guard !job.exchange.isStarted else { return }
        if job.request.isStream {
            job.exchange.add(header: "Cache-Control", "no-cache")
            // A proxy would hold it back.
            job.exchange.add(header: "X-Accel-Buffering", "no")
        }
        job.exchange.start(.ok, job.request.isStream ? "text/event-stream" : "application/json")
    }

    private func send(_ job: Job, _ text: String) {
        job.toldAt = .now
        job.exchange.write(text.utf8)
    }

    // MARK: Keeping alive

    /// Tells a client that waits where its request is, in a way that no parser minds.
    func keepAlive(_ job: Job, _ now: ContinuousClock.Instant) {
        guard !job.exchange.isEnded else { return }
        if !job.exchange.isStarted {
            guard now - job.exchange.began > Self.patience else { return }
            begin(answerOf: job)
            return send(job, job.request.isStream ? ": \(words(on: job))\n\n" : "\n")
        }
        guard now - job.toldAt > Self.silence else { return }
        send(job, job.request.isStream ? ": \(words(on: job))\n\n" : " ")
    }

    private func words(on job: Job) -> String {
        guard job.request.sequences == 0 || carousel.isUnderWay(job.number) else {
            return "keep-alive, \(carousel.waitingCount) in the queue"
        }
        guard let progress = job.progress.value else { return "keep-alive" }
        let share = "keep-alive sweep \(progress.sweep), \(Int(progress.share * 100)) % read"
        guard let left = feed?.reading?.secondsLeft else { return share }
        return "\(share), next token in \(left.tenths) s"
    }

    // MARK: Refusals

    /// A queue that is full empties as answers end.
    func refuseBusy(_ exchange: HTTPExchange) {
        let together = Double(max(1, carousel.underWayCount))
        let ahead = Double(max(1, carousel.waitingCount - options.queue + 1))
        // Nothing is answered in less than a sweep.
        let each = max(metrics.meanAnswerSeconds, feed?.secondsPerSweep ?? 0)
        let seconds = max(1, (each * ahead / together).rounded(.up))
        refuse(exchange, .busy(for: Int(min(3600, seconds))))
    }

    func refuse(_ exchange: HTTPExchange, _ error: ServedError) { exchange.refuse(error) }
}

extension ServedError {
    static let loading = unavailable(
        "the model is being opened; try again in a moment", code: "loading", retryAfter: 5)
    static let stopping = unavailable("the server is stopping; ask another one", code: "stopping", retryAfter: nil)

    static func busy(for seconds: Int) -> ServedError {
        ServedError(
            status: .tooManyRequests, "as many requests wait as may; try again later",
            code: "rate_limit_exceeded", retryAfter: seconds)
    }
}

extension Double {
    fileprivate var tenths: String {
        let tenths = Int((self * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
