class OrdersElsewhere:
    """Sends all that it knows to ``other``, and lets nothing be migrated beside that."""

    def db_for_read(self, model, **hints):
        return "other"

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, **hints):
        return db == "other" if app_label == "orders" else None
