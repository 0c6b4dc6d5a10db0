import LeafSystem
import Testing

@Suite("limits on addresses") struct AddressLimitTests {
    private func reports(space: String = "unlimited", data: String = "unlimited") -> KernelReports {
        let files = [
            "/proc/self/limits": """
            Limit                     Soft Limit           Hard Limit           Units
            Max data size             \(data)            unlimited            bytes
            Max stack size            8388608              unlimited            bytes
            Max address space         \(space)           unlimited            bytes

            """, "/proc/self/status": "Name:\tx\nVmSize:\t  10240 kB\nVmData:\t  2048 kB\n",
        ]
        return KernelReports { files[$0] }
    }

    @Test func whatIsMappedIsTakenFromEachLimit() {
        let both = AddressLimit.current(reports(space: "33554432", data: "4194304"))
        #expect(
            both == [
                AddressLimit(kind: .all, bytes: 32 << 20, used: 10 << 20),
                AddressLimit(kind: .data, bytes: 4 << 20, used: 2 << 20),
            ])
        #expect(AddressLimit.room(reports(space: "33554432", data: "4194304")) == 2 << 20)
        #expect(AddressLimit.room(reports(space: "1048576")) == 0)
        #expect(AddressLimit.stack(reports()) == 8 << 20)
    }

    @Test func withoutALimitOrProcNothingIsRefused() throws {
        #expect(AddressLimit.current(reports()).isEmpty)
        for reports in [reports(), KernelReports { _ in nil }] {
            #expect(AddressLimit.room(reports) == nil)
            try AddressLimit.check(.max, for: "this model", reports)
        }
    }

    @Test func theSentenceNamesTheLimitAndWhatWouldDo() throws {
        let space = reports(space: "33554432")
        try AddressLimit.check(22 << 20, for: "this model", space)
        let error = #expect(throws: LeafError.self) {
            try AddressLimit.check((22 << 20) + 1, for: "this model", space)
        }
        #expect(error?.kind == .budget)
        #expect(
            error?.description
                == "the limit on address space (ulimit -v) is 32.0 MiB, and 33 MiB are needed for this model; raise it")
        let data = #expect(throws: LeafError.self) {
            try AddressLimit.check(.max, for: "this model", reports(data: "4194304"))
        }
        #expect(data?.description.hasPrefix("the limit on data (ulimit -d) is 4.0 MiB") == true)
    }
}
