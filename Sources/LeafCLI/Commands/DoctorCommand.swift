import LeafArguments
import LeafExecutor
import LeafFormat
import LeafSystem
import LeafWire
import Leafcutter

extension DiskRate {
    /// What reading and computing cost each other where both go on, for people.
    package var interference: String {
        guard costOfReading >= 0.005 || costOfComputing >= 0.005 else {
            return "reading and computing do not slow each other down"
        }
        return "a second of reading slows computing by \(costOfReading.fixed(2)) s, "
            + "a second of computing slows reading by \(costOfComputing.fixed(2)) s"
    }
}

/// `leafcutter doctor [MODEL]`
struct DoctorCommand: Command {
    var model: String?
    var wantedContext: Int?
    var common = CommonOptions()

    static let syntax = CommandSyntax<DoctorCommand>(
        name: "doctor", summary: "Show what this machine can do.",
        discussion: """
            With MODEL it measures the disk of that file, and predicts how much memory --context needs and how fast \
            the model runs with each amount.
            """,
        arguments: [.optional("MODEL", "A .leaf file.", \.model, suggest: .model)],
        options: [
            .number(
                "context", "N", .context,
                "With MODEL: tokens to hold, the soft prompt and the generated ones included (default 512).",
                \.wantedContext)
        ] + CommonOptions.all.map { $0.lifted(\.common) },
        examples: ["doctor", "doctor ant.leaf", "doctor ant.leaf --context 128"])

    /// Enough rows to make the processor the limit.
    private static let manyRows = 64

    func run(_ terminal: Terminal) throws(LeafError) {
        guard wantedContext == nil || model != nil else {
            throw LeafError(.usage, "--context belongs to a MODEL, which is missing")
        }
        let context = wantedContext ?? 512
        let instructionSet = try InstructionSet.wanted()
        let file = try model.map { path throws(LeafError) in try ModelFile(path: path) }
        let rows = [Self.manyRows, context]
        let facts: Facts
        if let file {
            let rates = try MachineRates.measure(
                for: file, rows: rows, cancellation: terminal.interrupt.cancellation,
                onStep: { terminal.progress.show($0) })
            // What fits is asked of the memory that is free now.
            let options = ModelOptions(memory: .automatic, capacity: Demand(context: context))
            let outlook = try Outlook(file, options, promptRows: context, rates)
            facts = Facts(
                instructionSet: instructionSet, kernels: rates.kernels, disk: rates.disk, context: context,
                forecasts: try outlook.forecasts(), longest: try Model.longestContext(file, options))
        } else {
            let interrupt = terminal.interrupt
            terminal.progress.show("measuring the processor")
            let kernels = try KernelProbe.measure(
                instructionSet: instructionSet, threads: Machine.current().cores, rows: rows,
                check: { () throws(LeafError) in try interrupt.check() })
            facts = Facts(instructionSet: instructionSet, kernels: kernels)
        }
        terminal.progress.clear()
        terminal.output.write(common.isJSON ? facts.json.line + "\n" : facts.text)
    }

    /// The facts to report.
    private struct Facts {
        let instructionSet: InstructionSet
        let kernels: KernelProbe
        let machine = Machine.current()
        let features = KernelFeatures.current()
        var disk: DiskRate?
        var context = 0
        /// The speed of the model by budget; empty without a model.
        var forecasts: [Outlook.Forecast] = []
        /// The longest context that the free memory holds; nil if it holds none.
        var longest: Int?

        private var fits: Bool { (forecasts.first?.plan.minimum ?? 0) <= machine.defaultBudget }
        private var multiplyAddsPerSecond: Double { kernels.multiplyAddsPerSecond(rows: DoctorCommand.manyRows) }

        var text: String {
            let sets = InstructionSet.available.map(\.rawValue).joined(separator: ", ")
            var rows: [(String, String)] = [
                ("processor", features.processor.isEmpty ? "unknown" : features.processor),
                ("kernels", "\(instructionSet.rawValue) (this machine has \(sets))"),
                ("cores", "\(machine.cores)"),
                (
                    "memory",
                    "\(ByteCount(bytes: machine.totalBytes)), \(ByteCount(bytes: machine.availableBytes)) of it free"
                ),
                (
                    "container",
                    machine.containerLimitBytes.map { "limit of \(ByteCount(bytes: $0))" } ?? "no memory limit"
                ),
                ("--memory auto", "\(ByteCount(bytes: machine.defaultBudget))"),
                ("huge pages", hugePages),
                (
                    "memory pressure",
                    features.hasMemoryPressure ? "measured by the kernel (PSI)" : "not measured by the kernel (no PSI)"
                ),
                ("memory reads", "\(kernels.readBytesPerSecond.asByteRate)"),
                ("weights from memory", "\(kernels.weightBytesPerSecond(rows: 1).asByteRate) with one row"),
                (
                    "products",
                    "\((multiplyAddsPerSecond / 1e9).fixed(0)) billion multiply-adds a second with \(DoctorCommand.manyRows) rows"
                ),
            ]
            if let disk {
                rows += [
                    (
                        "disk",
                        "\(disk.bytesPerSecond.asByteRate), \(disk.isDirect ? "direct I/O works" : "no direct I/O, pages are dropped behind the reader")"
                    ),
                    ("both at once", disk.interference),
                ]
            }
            return Quantity.table(rows + expectations)
        }

        /// The lines about the model.
        private var expectations: [(String, String)] {
            guard let least = forecasts.first else { return [] }
            let minimum = least.plan.minimum.roundedUpText
            var rows: [(String, String)] = []
            if !fits {
                let holds = longest.map { "which is enough for \($0.of("token"))" } ?? "which is enough for none"
                rows.append(
                    (
                        "this model",
                        "needs at least \(minimum) for \(context.of("token")), more than "
                            + "\(machine.defaultBudget.sizeText) that can be given, \(holds)"
                    ))
            } else if let longest {
                rows.append(
                    (
                        "this model",
                        "needs at least \(minimum) for \(context.of("token")); --memory auto is enough for "
                            + longest.of("token")
                    ))
            }
            for (number, forecast) in forecasts.enumerated() {
                let time = forecast.prediction.secondsPerToken.asDuration
                let place =
                    number == 0
                    ? ", the smallest budget for \(context.of("token"))"
                    : number == forecasts.count - 1 ? ", all in memory" : ""
                rows.append(("with \(forecast.plan.budget.roundedUpText)", "about \(time) a token\(place)"))
            }
            return rows
        }

        private var hugePages: String {
            switch features.hugePages {
            case nil: "not in this kernel; weights lie in small pages"
            case "never":
                "switched off; weights lie in small pages, which is slower (echo madvise > /sys/kernel/mm/transparent_hugepage/enabled)"
            case let setting?: setting
            }
        }

        var json: JSON {
            var fields: [(key: String, value: JSON)] = [
                ("processor", .string(features.processor)), ("instruction_set", .string(instructionSet.rawValue)),
                ("instruction_sets", .strings(InstructionSet.available.map(\.rawValue))),
                ("cores", .integer(machine.cores)), ("memory_bytes", .integer(machine.totalBytes)),
                ("available_bytes", .integer(machine.availableBytes)),
                ("container_limit_bytes", machine.containerLimitBytes.map { .integer($0) } ?? .null),
                ("default_budget", .integer(machine.defaultBudget)),
                ("huge_pages", features.hugePages.map { .string($0) } ?? .null),
                ("memory_pressure", .bool(features.hasMemoryPressure)),
                ("ram_bytes_per_second", .number(kernels.readBytesPerSecond)),
                ("weight_bytes_per_second", .number(kernels.weightBytesPerSecond(rows: 1))),
                ("multiply_adds_per_second", .number(multiplyAddsPerSecond)),
            ]
            if let disk {
                fields += [
                    ("disk_bytes_per_second", .number(disk.bytesPerSecond)), ("direct_io", .bool(disk.isDirect)),
                    ("cost_of_computing", .number(disk.costOfComputing)),
                    ("cost_of_reading", .number(disk.costOfReading)),
                ]
            }
            if let least = forecasts.first {
                fields += [
                    ("fits", .bool(fits)), ("minimum", .integer(least.plan.minimum)),
                    ("context", .integer(context)), ("max_context", .integer(longest ?? 0)),
                    ("expected", .array(forecasts.map(\.json))),
                ]
            }
            return .object(fields)
        }
    }
}
