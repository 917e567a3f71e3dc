//! What the application keeps in two forms: how each is read, and how the new one is written.

use sqlx::MySqlConnection;

use crate::flags::{State, View};

/// Where an order goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub street: String,
    pub city: String,
}

impl Address {
    /// As the legacy form has it.
    pub fn line(&self) -> String {
        format!("{}; {}", self.street, self.city)
    }

    fn of_line(line: &str) -> Self {
        let (street, city) = line.split_once(';').unwrap_or((line, line));
        Self { street: street.trim().into(), city: city.trim().into() }
    }
}

/// Something that a target of the plan carries over.
pub trait Form {
    type Value: PartialEq + Send;

    /// The state of its target.
    fn state(view: View) -> State;
    /// Reads the legacy form.
    async fn legacy(connection: &mut MySqlConnection, order: u64) -> sqlx::Result<Option<Self::Value>>;
    /// Reads the new form.
    async fn new(connection: &mut MySqlConnection, order: u64) -> sqlx::Result<Option<Self::Value>>;
    /// Writes the new form, in the transaction that wrote the legacy one.
    async fn write(connection: &mut MySqlConnection, order: u64, value: &Self::Value) -> sqlx::Result<()>;
}

/// In cents: target `orders`, a column beside the legacy one.
pub struct Price;

impl Form for Price {
    type Value = i64;

    fn state(view: View) -> State {
        view.orders
    }

    async fn legacy(connection: &mut MySqlConnection, order: u64) -> sqlx::Result<Option<i64>> {
        let total: Option<String> = sqlx::query_scalar("SELECT CAST(total AS CHAR) FROM orders WHERE id = ?")
            .bind(order)
            .fetch_optional(connection)
            .await?;
        // "12.34": the column has two places.
        total
            .map(|total| total.replace('.', "").parse().map_err(|e| sqlx::Error::Decode(Box::new(e))))
            .transpose()
    }

    async fn new(connection: &mut MySqlConnection, order: u64) -> sqlx::Result<Option<i64>> {
        let cents: Option<Option<i64>> = sqlx::query_scalar("SELECT total_cents FROM orders WHERE id = ?")
            .bind(order)
            .fetch_optional(connection)
            .await?;
        Ok(cents.flatten())
    }

    async fn write(connection: &mut MySqlConnection, order: u64, cents: &i64) -> sqlx::Result<()> {
        let update = sqlx::query("UPDATE orders SET total_cents = ? WHERE id = ?").bind(cents).bind(order);
        update.execute(connection).await.map(drop)
    }
}

/// The address: target `shipments`, a table of its own.
pub struct Shipment;

impl Form for Shipment {
    type Value = Address;

    fn state(view: View) -> State {
        view.shipments
    }

    async fn legacy(connection: &mut MySqlConnection, order: u64) -> sqlx::Result<Option<Address>> {
        let line: Option<String> = sqlx::query_scalar("SELECT address FROM orders WHERE id = ?")
            .bind(order)
            .fetch_optional(connection)
            .await?;
        Ok(line.map(|line| Address::of_line(&line)))
    }

    async fn new(connection: &mut MySqlConnection, order: u64) -> sqlx::Result<Option<Address>> {
        let row: Option<(String, String)> =
            sqlx::query_as("SELECT street, city FROM shipments WHERE order_id = ?")
                .bind(order)
                .fetch_optional(connection)
                .await?;
        Ok(row.map(|(street, city)| Address { street, city }))
    }

    async fn write(connection: &mut MySqlConnection, order: u64, to: &Address) -> sqlx::Result<()> {
        // Crossfade may have been quicker, or not have come to this order yet.
        sqlx::query(
            "INSERT INTO shipments (order_id, street, city) VALUES (?, ?, ?) \
             ON DUPLICATE KEY UPDATE street = VALUES(street), city = VALUES(city)",
        )
        .bind(order)
        .bind(&to.street)
        .bind(&to.city)
        .execute(connection)
        .await
        .map(drop)
    }
}
