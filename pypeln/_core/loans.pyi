from typing import final

@final
class Loans: ...
