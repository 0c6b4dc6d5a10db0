import LeafArguments
import Leafcutter

/// `leafcutter doctor [MODEL]`
struct DoctorCommand: Command {
    var model: String?
    var common = CommonOptions()

    static let syntax = CommandSyntax<DoctorCommand>(
        name: "doctor", summary: "Show what this machine can do.",
        discussion: "With MODEL the disk that it lies on is measured, and what to expect of the model is told.",
        arguments: [.optional("MODEL", "A .leaf file.", \.model, suggest: .file)],
        options: CommonOptions.all.map { $0.lifted(\.common) }, examples: ["doctor", "doctor ant.leaf"])

    func run(_ terminal: Terminal) throws(LeafError) {
        let machine = Machine.current()
        let instructionSet = try InstructionSet.wanted()
        let file = try model.map { path throws(LeafError) in try ModelFile(path: path) }
        terminal.progress.show("measuring the processor")
        let probe = try KernelProbe.measure(instructionSet: instructionSet, threads: machine.cores)
        var disk: DiskProbe?
        if let model {
            terminal.progress.show("measuring the disk")
            disk = try DiskProbe.measure(path: model)
        }
        terminal.progress.clear()
        let expectation: Expectation? = if let file, let disk { try expect(of: file, probe, disk) } else { nil }
        terminal.output.write(
            common.isJSON
                ? json(machine, instructionSet, probe, disk, expectation).line + "\n"
                : text(machine, instructionSet, probe, disk, expectation))
    }

    /// What the model does with the memory that is there.
    private func expect(of file: ModelFile, _ probe: KernelProbe, _ disk: DiskProbe) throws(LeafError) -> Expectation {
        let options = ModelOptions(capacity: .init(context: 512))
        let plan: MemoryPlan
        do throws(LeafError) {
            plan = try Model.plan(file, options)
        } catch {
            guard error.kind == .budget else { throw error }
            return .refusal(error.description)
        }
        return .run(
            plan,
            Prediction(
                file.leaf, plan, promptRows: 512, diskBytesPerSecond: disk.bytesPerSecond, machine: probe))
    }

    private enum Expectation {
        case run(MemoryPlan, Prediction)
        case refusal(String)
    }

    private func text(
        _ machine: Machine, _ instructionSet: InstructionSet, _ probe: KernelProbe, _ disk: DiskProbe?,
        _ expectation: Expectation?
    ) -> String {
        let sets = InstructionSet.available.map(\.rawValue).joined(separator: ", ")
        let multiplyAdds = (probe.multiplyAddsPerSecond / 1e9).fixed(0)
        var rows = [
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
            ("weights from memory", "\(probe.weightBytesPerSecond.asByteRate) with one row"),
            ("products", "\(multiplyAdds) billion multiply-adds a second with many rows"),
        ]
        if let disk {
            let direct =
                disk.mode == .direct ? "direct I/O works" : "no direct I/O, pages are dropped behind the reader"
            rows.append(("disk", "\(disk.bytesPerSecond.asByteRate), \(direct)"))
        }
        switch expectation {
        case nil: break
        case .refusal(let sentence): rows.append(("this model", sentence))
        case .run(let plan, let prediction):
            rows.append(
                (
                    "this model",
                    "about \(prediction.secondsPerToken.asDuration) a token with \(ByteCount(bytes: plan.budget)); "
                        + "works from \(ByteCount(bytes: plan.minimum)) on"
                ))
        }
        return Quantity.table(rows)
    }

    private func json(
        _ machine: Machine, _ instructionSet: InstructionSet, _ probe: KernelProbe, _ disk: DiskProbe?,
        _ expectation: Expectation?
    ) -> JSONText {
        var fields: [(key: String, value: JSONText)] = [
            ("instruction_set", .string(instructionSet.rawValue)),
            ("instruction_sets", .strings(InstructionSet.available.map(\.rawValue))),
            ("cores", .integer(machine.cores)), ("memory_bytes", .integer(machine.totalBytes)),
            ("available_bytes", .integer(machine.availableBytes)),
            ("container_limit_bytes", machine.containerLimitBytes.map { .integer($0) } ?? .null),
            ("default_budget", .integer(machine.defaultBudget)),
            ("weight_bytes_per_second", .number(probe.weightBytesPerSecond)),
            ("multiply_adds_per_second", .number(probe.multiplyAddsPerSecond)),
        ]
        if let disk {
            fields += [
                ("disk_bytes_per_second", .number(disk.bytesPerSecond)), ("direct_io", .bool(disk.mode == .direct)),
            ]
        }
        switch expectation {
        case nil: break
        case .refusal: fields.append(("fits", .bool(false)))
        case .run(let plan, let prediction):
            fields += [
                ("fits", .bool(true)), ("minimum", .integer(plan.minimum)),
                ("predicted_seconds_per_token", .number(prediction.secondsPerToken)),
            ]
        }
        return .object(fields)
    }
}
